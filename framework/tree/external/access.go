package external

import (
	"cmp"
	"context"
	"crypto/tls"
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
// openrc leaves it. Checks log in by name and password.
func credentials() (options gophercloud.AuthOptions, certificates *tls.Config, region string, err error) {
	if os.Getenv("OS_CLOUD") == "" {
		options, err := openstack.AuthOptionsFromEnv()
		if err != nil {
			return options, nil, "", fmt.Errorf("who the administrator is: set OS_CLOUD to a cloud of clouds.yaml, or source an openrc: %w", err)
		}
		return options, nil, os.Getenv("OS_REGION_NAME"), usable(options)
	}
	options, endpoints, certificates, err := clouds.Parse()
	if err != nil {
		return options, nil, "", fmt.Errorf("cloud %s of clouds.yaml: %w", os.Getenv("OS_CLOUD"), err)
	}
	return options, certificates, endpoints.Region, usable(options)
}

// usable holds when checks can log in with them.
func usable(options gophercloud.AuthOptions) error {
	project, _ := scope(options)
	switch {
	case options.Username == "" || options.Password == "":
		return errors.New("the administrator's credentials have no username, or no password: checks log in with both")
	case project == "":
		return errors.New("the administrator's credentials name no project")
	default:
		return nil
	}
}

func scope(options gophercloud.AuthOptions) (project, domain string) {
	if options.Scope != nil && options.Scope.ProjectName != "" {
		return options.Scope.ProjectName, cmp.Or(options.Scope.DomainName, options.DomainName)
	}
	return options.TenantName, options.DomainName
}

func accessOf(options gophercloud.AuthOptions, region string) tree.Access {
	project, projectDomain := scope(options)
	return tree.Access{
		AuthURL: versioned(options.IdentityEndpoint), Region: region,
		Username: options.Username, Password: options.Password, Project: project,
		UserDomain: options.DomainName, ProjectDomain: projectDomain,
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
	options, certificates, region, err := credentials()
	if err != nil {
		return cloudSeen{}, tree.Setting(err)
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	provider, err := config.NewProviderClient(ctx, options, config.WithTLSConfig(certificates))
	if gophercloud.ResponseCodeIs(err, http.StatusUnauthorized) {
		return cloudSeen{}, tree.Setting(fmt.Errorf("log in at %s as %s: the cloud does not know these credentials: %w", options.IdentityEndpoint, options.Username, err))
	}
	if err != nil {
		return cloudSeen{}, tree.Environment(fmt.Errorf("log in at %s as %s: %w", options.IdentityEndpoint, options.Username, err))
	}
	catalog, err := catalogOf(provider)
	if err != nil {
		return cloudSeen{}, tree.Environment(fmt.Errorf("catalog of %s: %w", options.IdentityEndpoint, err))
	}
	seen := cloudSeen{Endpoints: endpoints(catalog, region), Access: accessOf(options, region)}
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

func catalogOf(provider *gophercloud.ProviderClient) (*tokens.ServiceCatalog, error) {
	result, plain := provider.GetAuthResult().(tokens.CreateResult)
	if !plain {
		return nil, errors.New("the token has none")
	}
	catalog, err := result.ExtractServiceCatalog()
	if err != nil {
		return nil, fmt.Errorf("read it: %w", err)
	}
	return catalog, nil
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

func endpoints(catalog *tokens.ServiceCatalog, region string) map[string]string {
	found := map[string]string{}
	for _, service := range catalog.Entries {
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
