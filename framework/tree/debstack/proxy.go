package debstack

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// proxies is what the host's apt configuration says about proxies (apt-transport-http(1), "Proxy Configuration").
type proxies struct {
	// general holds Acquire::<scheme>::Proxy by scheme, perHost Acquire::<scheme>::Proxy::<host> by scheme and host.
	general map[string]string
	perHost map[[2]string]string
}

// direct is apt's word for "no proxy, whatever the environment says".
const direct = "DIRECT"

var proxyLine = regexp.MustCompile(`(?i)^Acquire::(https?)::(Proxy|Proxy-Auto-Detect|ProxyAutoDetect)(?:::([^ ]+))? "(.*)";$`)

// findProxies reads the output of `apt-config dump`. detect runs a Proxy-Auto-Detect command, which prints a proxy or
// DIRECT when called with a URI; it is called once per scheme at most.
func findProxies(ctx context.Context, dump []byte, detect func(ctx context.Context, command, uri string) (string, error), uris []string) (proxies, error) {
	found := proxies{general: map[string]string{}, perHost: map[[2]string]string{}}
	detectors := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(dump))
	for lines.Scan() {
		part := proxyLine.FindStringSubmatch(lines.Text())
		if part == nil || part[4] == "" {
			continue
		}
		scheme, option, host, value := strings.ToLower(part[1]), strings.ToLower(part[2]), part[3], part[4]
		switch {
		case option == "proxy" && host != "":
			found.perHost[[2]string{scheme, strings.ToLower(host)}] = value
		case option == "proxy":
			found.general[scheme] = value
		default:
			detectors[scheme] = value
		}
	}
	if err := lines.Err(); err != nil {
		return found, fmt.Errorf("apt-config dump: %w", err)
	}
	for _, uri := range uris {
		parsed, err := url.Parse(uri)
		if err != nil || detectors[parsed.Scheme] == "" {
			continue
		}
		key := [2]string{parsed.Scheme, strings.ToLower(parsed.Hostname())}
		if _, known := found.perHost[key]; known {
			continue
		}
		answer, err := detect(ctx, detectors[parsed.Scheme], uri)
		if err != nil {
			return found, fmt.Errorf("apt's proxy detection %s: %w", detectors[parsed.Scheme], err)
		}
		if answer = strings.TrimSpace(answer); answer != "" {
			found.perHost[key] = answer
		}
	}
	return found, nil
}

// aptOptions returns the options that give another apt the same proxies.
func (p proxies) aptOptions() []string {
	var options []string
	for _, scheme := range []string{"http", "https"} {
		if value := p.general[scheme]; value != "" {
			options = append(options, fmt.Sprintf("Acquire::%s::Proxy %q", scheme, value))
		}
	}
	for _, key := range sortedKeys(p.perHost, func(a, b [2]string) int { return strings.Compare(a[0]+a[1], b[0]+b[1]) }) {
		options = append(options, fmt.Sprintf("Acquire::%s::Proxy::%s %q", key[0], key[1], p.perHost[key]))
	}
	return options
}

// forRequest is an http.Transport's Proxy function with apt's order: the host's own entry, the general one, the
// environment. apt uses the http entry for https, too, unless there is one for https.
func (p proxies) forRequest(r *http.Request) (*url.URL, error) {
	schemes := []string{r.URL.Scheme}
	if r.URL.Scheme == "https" {
		schemes = append(schemes, "http")
	}
	host := strings.ToLower(r.URL.Hostname())
	for _, scheme := range schemes {
		value := p.perHost[[2]string{scheme, host}]
		if value == "" {
			value = p.general[scheme]
		}
		switch value {
		case "":
			continue
		case direct, "false":
			return nil, nil
		default:
			return parseURI(value)
		}
	}
	proxy, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, fmt.Errorf("proxy of the environment: %w", err)
	}
	return proxy, nil
}
