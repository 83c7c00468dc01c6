package devstack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"grenade/framework/tree"
)

// catalogLimit bounds the one question.
const catalogLimit = 30 * time.Second

// versioned is the identity service's v3 endpoint, whether the tree names the version or not.
func versioned(url string) string {
	url = strings.TrimSuffix(strings.TrimRight(url, "/"), "/v3")
	if url == "" {
		return ""
	}
	return url + "/v3"
}

// catalog returns the public endpoint of each service, by the service's name, which in DevStack is the project's. It logs in
// as the administrator and asks no more.
func catalog(ctx context.Context, access tree.Access) (map[string]string, error) {
	if access.AuthURL == "" || access.Password == "" {
		return nil, errors.New("openrc sets no OS_AUTH_URL, or no OS_PASSWORD")
	}
	type named map[string]any
	domain := named{"id": "default"}
	question, err := json.Marshal(named{"auth": named{
		"identity": named{"methods": []string{"password"}, "password": named{"user": named{
			"name": access.Username, "password": access.Password, "domain": domain,
		}}},
		"scope": named{"project": named{"name": access.Project, "domain": domain}},
	}})
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, catalogLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, access.AuthURL+"/auth/tokens", bytes.NewReader(question))
	if err != nil {
		return nil, fmt.Errorf("log in at %s: %w", access.AuthURL, err)
	}
	request.Header.Set("Content-Type", "application/json")
	// No proxy: the cloud is on this machine, or on a link of it.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("log in at %s: %w", access.AuthURL, err)
	}
	if response.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("log in at %s: status %s", access.AuthURL, response.Status)
	}
	return publicEndpoints(answer, access.Region)
}

// publicEndpoints reads a token's catalog.
func publicEndpoints(answer []byte, region string) (map[string]string, error) {
	var read struct {
		Token struct {
			Catalog []struct {
				Name      string
				Endpoints []struct{ Interface, Region, URL string }
			}
		}
	}
	if err := json.Unmarshal(answer, &read); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	found := map[string]string{}
	for _, service := range read.Token.Catalog {
		for _, endpoint := range service.Endpoints {
			if endpoint.Interface == "public" && endpoint.Region == region && found[service.Name] == "" {
				found[service.Name] = endpoint.URL
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("catalog: it has no public endpoint in region %q", region)
	}
	return found, nil
}
