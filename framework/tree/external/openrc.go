package external

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
)

// openrc is the administrator as an openrc names him, in the variables that OpenStack's own client reads (python-openstackclient,
// "openstack", environment variables). gophercloud's AuthOptionsFromEnv does not know the domains of user and project apart.
func openrc(getenv func(string) string) (gophercloud.AuthOptions, error) {
	options := gophercloud.AuthOptions{
		IdentityEndpoint: getenv("OS_AUTH_URL"), Username: getenv("OS_USERNAME"), Password: getenv("OS_PASSWORD"),
		Scope: &gophercloud.AuthScope{ProjectID: cmp.Or(getenv("OS_PROJECT_ID"), getenv("OS_TENANT_ID"))},
	}
	options.DomainID, options.DomainName = domain(getenv, "OS_USER_DOMAIN")
	project := cmp.Or(getenv("OS_PROJECT_NAME"), getenv("OS_TENANT_NAME"))
	if options.Scope.ProjectID == "" {
		options.Scope.ProjectName = project
		options.Scope.DomainID, options.Scope.DomainName = domain(getenv, "OS_PROJECT_DOMAIN")
	}
	var missing []string
	for _, need := range []struct{ name, value string }{
		{"OS_AUTH_URL", options.IdentityEndpoint}, {"OS_USERNAME", options.Username}, {"OS_PASSWORD", options.Password},
		{"OS_PROJECT_NAME", options.Scope.ProjectID + project},
	} {
		if need.value == "" {
			missing = append(missing, need.name)
		}
	}
	if len(missing) > 0 {
		return gophercloud.AuthOptions{}, fmt.Errorf("the environment has no %s", strings.Join(missing, ", no "))
	}
	return options, nil
}

// domain is one of the two: an id, or a name. Without any it is the domain that every cloud has.
func domain(getenv func(string) string, variable string) (id, name string) {
	for _, of := range []string{variable, "OS_DOMAIN"} {
		if id := getenv(of + "_ID"); id != "" {
			return id, ""
		}
		if name := getenv(of + "_NAME"); name != "" {
			return "", name
		}
	}
	return cmp.Or(getenv("OS_DEFAULT_DOMAIN"), "default"), ""
}
