package neutron

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/agents"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"

	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/plugins"
	"grenade/resources"
)

const (
	// answerWithin is how long what must answer may be asked. It was up when
	// create ended, so the first answer is due at once; a busy machine may be
	// late.
	answerWithin = 10 * time.Second
	// oneAnswer bounds one question.
	oneAnswer = 2 * time.Second
)

// The two tools of the plugin's, which its resources.sh uses as well.
const (
	probeTool = "50_neutron/probe.py"
	lookTool  = "50_neutron/look.py"
)

// python runs one of the tools as root in the node.
func python(ctx context.Context, inside *resources.Inside, tool string, args ...string) ([]byte, error) {
	script, err := plugins.InTreeFile(tool)
	if err != nil {
		return nil, err
	}
	return inside.Node.Output(ctx, node.Command{
		Command: exec.Command{Args: append([]string{"python3", "-"}, args...), Stdin: script}, User: "root",
	})
}

// host is the node where ports are to be bound, by the name that the agent that
// wires them has given it. Without a node it is "".
func (c *check) host(ctx context.Context, admin *gophercloud.ServiceClient) (string, error) {
	inside, err := c.cloud.Inside()
	if resources.IsNotChecked(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	name, err := inside.Lines(ctx, "hostname")
	if err != nil {
		return "", fmt.Errorf("name of the node: %w", err)
	}
	found, err := resources.Collection(ctx, agents.List(admin, agents.ListOpts{}), "agents")
	if err != nil {
		return "", err
	}
	hosts := []string{}
	for _, agent := range found {
		switch agent["agent_type"] {
		case "Open vSwitch agent", "OVN Controller agent":
			hosts = append(hosts, fmt.Sprint(agent["host"]))
		}
	}
	for _, host := range hosts {
		if len(hosts) == 1 || len(name) == 1 && host == name[0] {
			return host, nil
		}
	}
	return "", fmt.Errorf("no agent of neutron's wires ports on node %v: it has agents on %v", name, hosts)
}

// plug binds a port and puts a probe in the place of a guest there. Without a
// node, nothing is done.
func (c *check) plug(ctx context.Context, admin *gophercloud.ServiceClient, port, owner, answer, instance, host string) error {
	inside, err := c.cloud.Inside()
	if resources.IsNotChecked(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := bind(ctx, admin, port, owner, instance, host); err != nil {
		return err
	}
	seen, err := ports.Get(ctx, admin, port).Extract()
	if err != nil {
		return fmt.Errorf("look at port %s: %w", port, err)
	}
	if _, err := python(ctx, inside, probeTool, "plug", port, seen.MACAddress, instance, answer); err != nil {
		return fmt.Errorf("plug a probe in at port %s: %w", port, err)
	}
	return waitPort(ctx, admin, port)
}

func waitPort(ctx context.Context, admin *gophercloud.ServiceClient, port string) error {
	return resources.WaitFor(ctx, resources.Wait{Object: "port " + port, Limit: settledWithin},
		func(ctx context.Context) (resources.Progress, error) {
			seen, err := resources.Member(ports.Get(ctx, admin, port).Result, "port")
			if err != nil {
				return resources.Progress{}, err
			}
			object, _ := seen.(map[string]any)
			return resources.Progress{
				Status: fmt.Sprint(object["status"]),
				Done:   object["status"] == ports.StatusActive,
				Failed: object["status"] == "ERROR" || object["binding:vif_type"] == "binding_failed",
				Fault:  fmt.Sprintf("binding %v on host %v: no driver of neutron's takes it", object["binding:vif_type"], object["binding:host_id"]),
			}, nil
		})
}

// lease has the probe ask for its address anew, by DHCP.
func lease(ctx context.Context, inside *resources.Inside, port string) (map[string]any, error) {
	out, err := python(ctx, inside, probeTool, "lease", port)
	if err != nil {
		return nil, fmt.Errorf("lease an address for port %s: %w", port, err)
	}
	terms := map[string]any{}
	if err := json.Unmarshal(out, &terms); err != nil {
		return nil, fmt.Errorf("lease an address for port %s: %w", port, err)
	}
	return terms, nil
}

func unplug(ctx context.Context, inside *resources.Inside, port string) error {
	if _, err := python(ctx, inside, probeTool, "unplug", port); err != nil {
		return fmt.Errorf("unplug the probe at port %s: %w", port, err)
	}
	return nil
}

// pings sends a packet that is nearly as large as they come from the probe to an
// address. What is returned is for people: "answers", or what was seen.
func pings(ctx context.Context, inside *resources.Inside, port, address string) string {
	_, err := inside.Lines(ctx, fmt.Sprintf("nsenter --net=/run/netns/probe-%s ping -n -q -c 1 -W 2 -s 1300 %s 2>&1", port, address))
	if err != nil {
		return "no answer from " + address
	}
	return answers
}

const answers = "answers"

// fromNode asks an address from the node, and returns what it or curl says.
func fromNode(ctx context.Context, inside *resources.Inside, address string) string {
	lines, err := inside.Lines(ctx, fmt.Sprintf("curl --silent --show-error --noproxy '*' --max-time 2 http://%s/ 2>&1 || :", address))
	if err != nil {
		return noAnswer(err.Error())
	}
	return strings.Join(lines, " ")
}

// fromHost asks an address from where this program runs.
func fromHost(ctx context.Context, address string, port int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, oneAnswer)
	defer cancel()
	url := "http://" + net.JoinHostPort(address, fmt.Sprint(port)) + "/"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", url, err)
	}
	// A new connection each time: one that was let in stays so.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask the probe: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", url, err)
	}
	return string(body), nil
}

func noAnswer(why string) string { return "no answer: " + why }

// silent says whether an attempt to connect was swallowed, as by a firewall: it
// was neither answered nor refused.
func silent(err error) bool {
	return err != nil && (os.IsTimeout(err) || errors.Is(err, context.DeadlineExceeded))
}

// until asks again until what is said is as wanted, or time is up; it returns
// what was said last.
func until(ctx context.Context, wanted string, ask func(context.Context) string) string {
	said := ""
	_ = resources.WaitFor(ctx, resources.Wait{Object: "an answer", Limit: answerWithin},
		func(ctx context.Context) (resources.Progress, error) {
			heard := ask(ctx)
			if ctx.Err() == nil || said == "" {
				said = heard
			}
			return resources.Progress{Done: said == wanted, Status: said}, nil
		})
	return said
}
