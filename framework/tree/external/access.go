package external

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/config"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"grenade/framework/tree"
)

// askLimit bounds the questions to the cloud before the run begins.
const askLimit = time.Minute

// credentials are the administrator's: of the cloud that OS_CLOUD names in clouds.yaml, else of the environment, as an
// openrc leaves it. Checks log in by name and password, and trust whom the machine trusts.
func credentials(getenv func(string) string) (options gophercloud.AuthOptions, region string, err error) {
	cloud, certificate := getenv("OS_CLOUD"), getenv("OS_CACERT")
	if cloud == "" {
		if options, err = openrc(getenv); err != nil {
			return options, "", fmt.Errorf("who the administrator is: set OS_CLOUD to a cloud of clouds.yaml, or source an openrc: %w", err)
		}
		region = getenv("OS_REGION_NAME")
	} else {
		parsed, endpoints, certificates, err := clouds.Parse()
		if err != nil {
			return options, "", fmt.Errorf("cloud %s of clouds.yaml: %w", cloud, err)
		}
		if certificates != nil && certificates.RootCAs != nil {
			certificate = "the cacert of clouds.yaml"
		}
		options, region = parsed, endpoints.Region
	}
	switch {
	case options.Username+options.UserID == "" || options.Password == "":
		return options, "", errors.New("the administrator's credentials have no username, or no password: checks log in with both")
	case certificate != "" && getenv("SSL_CERT_FILE") == "":
		return options, "", fmt.Errorf("this cloud's certificates are of an authority of its own: set SSL_CERT_FILE, which all checks heed, to %s", certificate)
	default:
		return options, region, nil
	}
}

// cloudSeen is what the cloud said of itself.
type cloudSeen struct {
	Access tree.Access
	// Endpoints are the public endpoints, by project.
	Endpoints map[string]string
}

// see logs in, and looks which services the catalog has, and whether there is an image of that name.
func see(ctx context.Context, image string) (cloudSeen, error) {
	options, region, err := credentials(os.Getenv)
	if err != nil {
		return cloudSeen{}, tree.Setting(err)
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	provider, err := config.NewProviderClient(ctx, options)
	who := cmp.Or(options.Username, options.UserID)
	if gophercloud.ResponseCodeIs(err, http.StatusUnauthorized) {
		return cloudSeen{}, tree.Setting(fmt.Errorf("log in at %s as %s: the cloud does not know these credentials: %w", options.IdentityEndpoint, who, err))
	}
	if err != nil {
		return cloudSeen{}, tree.Environment(fmt.Errorf("log in at %s as %s: %w", options.IdentityEndpoint, who, err))
	}
	token, err := whatTokenSays(provider)
	if err != nil {
		return cloudSeen{}, tree.Environment(fmt.Errorf("the token of %s: %w", options.IdentityEndpoint, err))
	}
	if token.Project.Name == "" {
		return cloudSeen{}, tree.Setting(errors.New("the administrator's credentials name no project"))
	}
	seen := cloudSeen{Endpoints: endpoints(token.Catalog, region), Access: tree.Access{
		AuthURL: versioned(options.IdentityEndpoint), Region: region,
		Username: token.User.Name, Password: options.Password, Project: token.Project.Name,
		UserDomain: token.User.Domain.Name, ProjectDomain: token.Project.Domain.Name,
	}}
	if len(seen.Endpoints) == 0 {
		return cloudSeen{}, tree.Setting(fmt.Errorf("the catalog of %s has no public endpoint of a service that is known here in region %q", options.IdentityEndpoint, region))
	}
	seen.Access.Guestless = fmt.Sprintf("native checks look through guests that testify, and the cloud has no image %s (EXTERNAL_IMAGE)", image)
	if seen.Endpoints["glance"] == "" {
		return seen, nil
	}
	there, err := hasImage(ctx, provider, region, image)
	if there {
		seen.Access.Guestless = ""
	}
	return seen, err
}

// said is what a token says: names, also of whom the credentials named by id.
type said struct {
	User    tokens.User
	Project tokens.Project
	Catalog []tokens.CatalogEntry
}

func whatTokenSays(provider *gophercloud.ProviderClient) (said, error) {
	result, plain := provider.GetAuthResult().(tokens.CreateResult)
	if !plain {
		return said{}, errors.New("it says nothing of itself")
	}
	var token said
	if err := result.ExtractInto(&token); err != nil {
		return said{}, fmt.Errorf("read it: %w", err)
	}
	return token, nil
}

// projectOf is the project behind a type of service, "" for one that no check knows (service-types authority).
func projectOf(serviceType string) string {
	switch serviceType {
	case "identity":
		return "keystone"
	case "placement":
		return "placement"
	case "object-store":
		return "swift"
	case "image":
		return "glance"
	case "network":
		return "neutron"
	case "compute":
		return "nova"
	case "block-storage", "block-store", "volumev3":
		return "cinder"
	default:
		return ""
	}
}

func endpoints(catalog []tokens.CatalogEntry, region string) map[string]string {
	found := map[string]string{}
	for _, service := range catalog {
		project := projectOf(service.Type)
		public := slices.IndexFunc(service.Endpoints, func(e tokens.Endpoint) bool {
			return e.Interface == "public" && (region == "" || e.Region == region)
		})
		if project != "" && public >= 0 && found[project] == "" {
			found[project] = service.Endpoints[public].URL
		}
	}
	return found
}

// hasImage tells whether the cloud has an image of that name.
func hasImage(ctx context.Context, provider *gophercloud.ProviderClient, region, name string) (bool, error) {
	client, err := openstack.NewImageV2(provider, gophercloud.EndpointOpts{Region: region})
	if err != nil {
		return false, tree.Environment(fmt.Errorf("images of the cloud: %w", err))
	}
	pages, err := images.List(client, images.ListOpts{Name: name}).AllPages(ctx)
	if err != nil {
		return false, tree.Environment(fmt.Errorf("images of the cloud: %w", err))
	}
	listed, err := images.ExtractImages(pages)
	if err != nil {
		return false, tree.Environment(fmt.Errorf("images of the cloud: %w", err))
	}
	return len(listed) > 0, nil
}

// versioned is the identity service's v3 endpoint, whether the user names the version or not.
func versioned(url string) string {
	return strings.TrimSuffix(strings.TrimRight(url, "/"), "/v3") + "/v3"
}
