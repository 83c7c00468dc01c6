package resources

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/pagination"
	"github.com/sirupsen/logrus"
)

// Cloud is what a native check sees of the cloud under test.
type Cloud struct {
	// AuthURL is keystone's address: "http://10.95.0.2:5000/v3".
	AuthURL string
	// Region selects endpoints; empty takes the first of each service.
	Region string
	// Admin is the administrator of the whole cloud.
	Admin Credentials
	// Endpoints overrides the catalog: service type ("image") → URL.
	Endpoints map[string]string
	// Node is where the services run; nil when there is no way in. Without it
	// VerifyNoAPI is not checked.
	Node Node
	// Elsewhere says why nothing lies on the node where the checks know it; then
	// they ask APIs only, as without a Node. Guestless says why the cloud has no
	// image that testifies (GuestImage): then checks that need one are none.
	Elsewhere, Guestless string
	// SQL runs SQL statements from its standard input in the node as root, and
	// prints rows tab-separated without headings. Default: the MariaDB client
	// over the local socket.
	SQL []string
	// Store is the run's store.
	Store *Store
	// Section is where a check keeps its values; default "native-<project>", so
	// that a plugin's own resources.sh can use [<project>].
	Section string
	// Log is the run's log; default: discard.
	Log *logrus.Entry
	// PublicNetwork is the name of the external network that floating addresses
	// come from. Default "public", as DevStack's PUBLIC_NETWORK_NAME.
	PublicNetwork string
	// GuestImage is the name of the image that guests boot, one that answers over
	// HTTP (see resources/guest). Default "grenade-guest".
	GuestImage string
	// GuestFlavor is the name of the flavor that guests have. Default "m1.nano", as
	// DevStack's DEFAULT_INSTANCE_TYPE.
	GuestFlavor string
	// Tag is part of every name that a check makes, so that two runs against
	// one cloud do not collide: the run id.
	Tag string
	// CallTimeout bounds one HTTP exchange. Default 2 min.
	CallTimeout time.Duration
}

// Credentials are what keystone's password method takes, by name.
type Credentials struct {
	Username, Password, Project string
	// UserDomain and ProjectDomain are names, default "Default".
	UserDomain, ProjectDomain string
}

// Memory returns the part of the store that belongs to a project's check.
func (c Cloud) Memory(project string) *Memory {
	section := c.Section
	if section == "" {
		section = "native-" + project
	}
	return &Memory{Store: c.Store, Section: section, Log: c.log().WithField("project", project)}
}

// PublicNetworkName returns PublicNetwork or its default.
func (c Cloud) PublicNetworkName() string { return cmp.Or(c.PublicNetwork, "public") }

// GuestImageName returns GuestImage or its default.
func (c Cloud) GuestImageName() string { return cmp.Or(c.GuestImage, "grenade-guest") }

// GuestFlavorName returns GuestFlavor or its default.
func (c Cloud) GuestFlavorName() string { return cmp.Or(c.GuestFlavor, "m1.nano") }

func (c Cloud) log() *logrus.Entry {
	if c.Log != nil {
		return c.Log
	}
	silent := logrus.New()
	silent.SetLevel(logrus.PanicLevel)
	return logrus.NewEntry(silent)
}

// AsAdmin logs the administrator in.
func (c Cloud) AsAdmin(ctx context.Context) (*gophercloud.ProviderClient, error) {
	provider, err := c.Login(ctx, gophercloud.AuthOptions{
		Username:   c.Admin.Username,
		Password:   c.Admin.Password,
		DomainName: orDefault(c.Admin.UserDomain),
		Scope: &gophercloud.AuthScope{
			ProjectName: c.Admin.Project,
			DomainName:  orDefault(c.Admin.ProjectDomain),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("log in as %s: %w", c.Admin.Username, err)
	}
	return provider, nil
}

func orDefault(domain string) string {
	if domain == "" {
		return "Default"
	}
	return domain
}

// Login authenticates afresh: no phase may live on a token or a connection of
// the phase before, when other code was answering.
func (c Cloud) Login(ctx context.Context, options gophercloud.AuthOptions) (*gophercloud.ProviderClient, error) {
	provider, err := c.client()
	if err != nil {
		return nil, err
	}
	options.IdentityEndpoint = c.AuthURL
	options.AllowReauth = false
	if err := openstack.Authenticate(ctx, provider, options); err != nil {
		return nil, fmt.Errorf("authenticate at %s: %w", c.AuthURL, err)
	}
	return provider, nil
}

// WithToken makes a client that uses a token as it is, without asking keystone
// about it first.
func (c Cloud) WithToken(token string) (*gophercloud.ProviderClient, error) {
	provider, err := c.client()
	if err != nil {
		return nil, err
	}
	provider.SetToken(token)
	return provider, nil
}

func (c Cloud) client() (*gophercloud.ProviderClient, error) {
	provider, err := openstack.NewClient(c.AuthURL)
	if err != nil {
		return nil, fmt.Errorf("auth URL %q: %w", c.AuthURL, err)
	}
	provider.HTTPClient = c.http()
	return provider, nil
}

// http makes a client that keeps no connection: one that a stopped service left
// half open would be taken for a fault of its successor.
func (c Cloud) http() http.Client {
	limit := c.CallTimeout
	if limit == 0 {
		limit = 2 * time.Minute
	}
	return http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment}}
}

// Identity returns the v3 API at AuthURL.
func (c Cloud) Identity(provider *gophercloud.ProviderClient) (*gophercloud.ServiceClient, error) {
	client, err := openstack.NewIdentityV3(provider, gophercloud.EndpointOpts{})
	if err != nil {
		return nil, fmt.Errorf("identity API at %s: %w", c.AuthURL, err)
	}
	return client, nil
}

// Service returns a service's API as the catalog, or an override, places it.
// Version is the path below the endpoint ("v2"), or "" for none. It asks no
// service about its versions: the library would do so without a context.
func (c Cloud) Service(provider *gophercloud.ProviderClient, serviceType, version string) (*gophercloud.ServiceClient, error) {
	endpoint, ok := c.Endpoints[serviceType]
	if !ok {
		var err error
		if endpoint, err = c.locate(provider, serviceType); err != nil {
			return nil, err
		}
	}
	endpoint = gophercloud.NormalizeURL(endpoint)
	client := &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: endpoint, Type: serviceType}
	if version != "" && !strings.HasSuffix(endpoint, "/"+version+"/") {
		client.ResourceBase = endpoint + version + "/"
	}
	return client, nil
}

// olderType is the type under which older catalogs have a service, and no other.
func olderType(serviceType string) (older string, has bool) {
	return "volumev3", serviceType == "block-storage"
}

// locate looks into the catalog. The error for a service that is not there wraps *gophercloud.ErrEndpointNotFound.
func (c Cloud) locate(provider *gophercloud.ProviderClient, serviceType string) (string, error) {
	if provider.EndpointLocator == nil {
		return "", fmt.Errorf("endpoint of %s: not logged in", serviceType)
	}
	endpoint, err := provider.EndpointLocator(gophercloud.EndpointOpts{
		Type: serviceType, Region: c.Region, Availability: gophercloud.AvailabilityPublic,
	})
	var absent *gophercloud.ErrEndpointNotFound
	if older, has := olderType(serviceType); has && errors.As(err, &absent) {
		return c.locate(provider, older)
	}
	if err != nil {
		return "", fmt.Errorf("endpoint of %s in region %q: %w", serviceType, c.Region, err)
	}
	return endpoint, nil
}

// Body returns what an API answered, whole: gophercloud's own types leave out
// attributes that they do not know.
func Body(result gophercloud.Result) (any, error) { return result.Body, result.Err }

// Member returns one member of an answer: the user in {"user": {…}}.
func Member(result gophercloud.Result, name string) (any, error) {
	if result.Err != nil {
		return nil, result.Err
	}
	object, ok := result.Body.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("answer is %T, wanted an object with %q", result.Body, name)
	}
	member, ok := object[name]
	if !ok {
		return nil, fmt.Errorf("answer has no %q", name)
	}
	return member, nil
}

// Collection returns all pages of a list, each object whole: the users in
// {"users": […]}.
func Collection(ctx context.Context, pager pagination.Pager, name string) ([]map[string]any, error) {
	objects := []map[string]any{}
	// An empty page ends the listing before it is shown to the function.
	err := pager.EachPage(ctx, func(_ context.Context, page pagination.Page) (bool, error) {
		answer, ok := page.GetBody().(map[string]any)
		if !ok {
			return false, fmt.Errorf("the answer is %T", page.GetBody())
		}
		list, ok := answer[name].([]any)
		if !ok {
			return false, errors.New("the answer has none")
		}
		for _, element := range list {
			object, ok := element.(map[string]any)
			if !ok {
				return false, fmt.Errorf("one is %T", element)
			}
			objects = append(objects, object)
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list of %s: %w", name, err)
	}
	return objects, nil
}

// Listed finds one object in a list by its id, so that one that was renamed is
// found, too. One that is not there is *Gone.
func Listed(ctx context.Context, pager pagination.Pager, name, id string) (map[string]any, error) {
	objects, err := Collection(ctx, pager, name)
	if err != nil {
		return nil, err
	}
	for _, object := range objects {
		if object["id"] == id {
			return object, nil
		}
	}
	return nil, &Gone{What: "not in the list of " + name}
}

// IsGone says whether the object is not there: by *Gone, or because an API
// answered that it does not know it.
func IsGone(err error) bool {
	var gone *Gone
	return errors.As(err, &gone) || gophercloud.ResponseCodeIs(err, http.StatusNotFound) || gophercloud.ResponseCodeIs(err, http.StatusGone)
}

// deleteWithin is long for machines under load only: a look that finds out that
// the deletion was given up ends the wait at once.
const deleteWithin = 5 * time.Minute

// Delete deletes an object and makes sure that it is gone. One that was gone
// before is no error. An API that deletes later is waited for, up to five minutes.
func Delete(ctx context.Context, object string, remove, look func(context.Context) error) error {
	if err := remove(ctx); err != nil && !IsGone(err) {
		return fmt.Errorf("delete %s: %w", object, err)
	}
	err := WaitFor(ctx, Wait{Object: object + " to be gone", Limit: deleteWithin}, func(ctx context.Context) (Progress, error) {
		err := look(ctx)
		if IsGone(err) {
			return Progress{Done: true}, nil
		}
		return Progress{Status: "still there"}, err
	})
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}

// ErrNoTag is returned by a check whose cloud has no tag.
var ErrNoTag = errors.New("resources: Cloud.Tag is empty: names would collide with another run's")
