package node

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"grenade/framework/exec"
)

const (
	// linkInside is the name of the node's end of the link.
	linkInside = "host0"
	// ipLimit bounds one call of ip: it asks the kernel, which answers at once.
	ipLimit = 30 * time.Second
)

// gateway is the host's address on the link: the first of the prefix.
func gateway(node netip.Prefix) netip.Addr { return node.Masked().Addr().Next() }

// AddressTaken says whether this host has an address or a route, other than a default route, that overlaps
// the prefix: a node there would be cut off, or cut something off. The error names the interface and what it
// has. IPv4 only; routes are those of the main table (/proc/net/route, proc(5)).
func AddressTaken(prefix netip.Prefix) error {
	links, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("is %s free: list the interfaces: %w", prefix, err)
	}
	for _, link := range links {
		addresses, err := link.Addrs()
		if err != nil {
			return fmt.Errorf("is %s free: addresses of %s: %w", prefix, link.Name, err)
		}
		for _, address := range addresses {
			theirs, err := netip.ParsePrefix(address.String())
			if err == nil && theirs.Overlaps(prefix) {
				return fmt.Errorf("address range %s is taken: interface %s has %s", prefix.Masked(), link.Name, theirs)
			}
		}
	}
	table, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return fmt.Errorf("is %s free: %w", prefix, err)
	}
	found, err := routes(table)
	if err != nil {
		return fmt.Errorf("is %s free: %w", prefix, err)
	}
	for _, route := range found {
		if route.to.Bits() > 0 && route.to.Overlaps(prefix) {
			return fmt.Errorf("address range %s is taken: interface %s has a route to %s", prefix.Masked(), route.link, route.to)
		}
	}
	return nil
}

// route is one line of the kernel's table.
type route struct {
	link string
	to   netip.Prefix
}

// routes reads the form of /proc/net/route: a heading, then lines with the interface, the destination and
// (eighth) the mask, both hexadecimal in the machine's byte order.
func routes(table []byte) ([]route, error) {
	var found []route
	lines := bufio.NewScanner(bytes.NewReader(table))
	for first := true; lines.Scan(); first = false {
		fields := strings.Fields(lines.Text())
		if first || len(fields) == 0 {
			continue
		}
		if len(fields) < 8 {
			return nil, fmt.Errorf("route table: cannot read %q", lines.Text())
		}
		destination, err := kernelAddress(fields[1])
		if err != nil {
			return nil, fmt.Errorf("route table: %q: %w", lines.Text(), err)
		}
		mask, err := kernelAddress(fields[7])
		if err != nil {
			return nil, fmt.Errorf("route table: %q: %w", lines.Text(), err)
		}
		bits, _ := net.IPMask(mask[:]).Size()
		found = append(found, route{link: fields[0], to: netip.PrefixFrom(netip.AddrFrom4(destination), bits)})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("route table: %w", err)
	}
	return found, nil
}

// kernelAddress reads an IPv4 address as the kernel prints it there: as a number.
func kernelAddress(text string) ([4]byte, error) {
	var address [4]byte
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 4 {
		return address, fmt.Errorf("%q is no address", text)
	}
	binary.NativeEndian.PutUint32(address[:], binary.BigEndian.Uint32(raw))
	return address, nil
}

// connect gives both ends of the link their addresses. The host does both: the node's services find their
// address when they start, whatever manages the network inside.
func connect(ctx context.Context, link string, leader int, address netip.Prefix, behind []netip.Prefix) error {
	host := netip.PrefixFrom(gateway(address), address.Bits())
	inside := []string{"nsenter", fmt.Sprintf("--target=%d", leader), "--net", "--", "ip", "-batch", "-"}
	outside := fmt.Sprintf("address replace %s dev %s\nlink set %s up\n", host, link, link)
	for _, network := range behind {
		outside += fmt.Sprintf("route replace %s via %s dev %s\n", network, address.Addr(), link)
	}
	return errors.Join(
		ip(ctx, []string{"ip", "-batch", "-"}, outside),
		ip(ctx, inside, fmt.Sprintf("address replace %s dev %s\nlink set %s up\nroute replace default via %s dev %s\n",
			address, linkInside, linkInside, host.Addr(), linkInside)),
	)
}

// ip runs one batch of ip(8).
func ip(ctx context.Context, args []string, batch string) error {
	_, err := exec.Run(ctx, exec.Command{Args: args, Stdin: []byte(batch), Timeout: ipLimit})
	if err != nil {
		return fmt.Errorf("set up the network: %s: %w", strings.ReplaceAll(strings.TrimSpace(batch), "\n", "; "), err)
	}
	return nil
}

// linkExists says whether the host has an interface of that name.
func linkExists(name string) bool {
	_, err := net.InterfaceByName(name)
	return err == nil
}

// removeLink deletes the host's end, and with it the other one. It usually goes with the node's network
// namespace, but the kernel takes that one apart when it likes to.
func removeLink(ctx context.Context, name string) error {
	if name == "" || !linkExists(name) {
		return nil
	}
	_, err := exec.Run(ctx, exec.Command{Args: []string{"ip", "link", "delete", "dev", name}, Timeout: ipLimit})
	if err != nil && linkExists(name) {
		return fmt.Errorf("remove the link %s: %w", name, err)
	}
	return nil
}
