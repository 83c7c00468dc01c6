package guest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// State is what a guest says of itself.
type State struct {
	// BootID is the kernel's random id of this boot.
	BootID string
	// Uptime is the time since then.
	Uptime time.Duration
	// Kernel is its release, Hostname what DHCP or the image gave it, Address
	// the one on the shared network.
	Kernel, Hostname, Address string
	// Disks are in the guest's order.
	Disks []Disk
}

// Disk is one of a guest's block devices.
type Disk struct {
	// Name is "vda"; Serial the first 20 characters of a volume's id, empty for
	// a disk that is no volume.
	Name, Serial string
	Bytes        int64
}

// Disk finds a disk by name, serial number or volume id.
func (s State) Disk(which string) (Disk, bool) {
	for _, disk := range s.Disks {
		if disk.Name == which || disk.Serial != "" && strings.HasPrefix(which, disk.Serial) {
			return disk, true
		}
	}
	return Disk{}, false
}

// parseState reads lines "key=value". Keys that it does not know are left out:
// the guest may learn to say more.
func parseState(text string) (State, error) {
	var s State
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		if !ok {
			return s, fmt.Errorf("line %q is not key=value", strings.TrimSpace(line))
		}
		var err error
		switch key {
		case "boot_id":
			s.BootID = value
		case "uptime":
			s.Uptime, err = parseUptime(value)
		case "kernel":
			s.Kernel = value
		case "hostname":
			s.Hostname = value
		case "address":
			s.Address = value
		case "disk":
			var disk Disk
			disk, err = parseDisk(value)
			s.Disks = append(s.Disks, disk)
		}
		if err != nil {
			return s, fmt.Errorf("line %q: %w", strings.TrimSpace(line), err)
		}
	}
	if s.BootID == "" || s.Uptime == 0 {
		return s, fmt.Errorf("no boot id or uptime in %.200q", text)
	}
	return s, nil
}

func parseUptime(text string) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("uptime in seconds: %w", err)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// parseDisk reads "<name> <serial> <bytes>"; the serial number may be empty.
func parseDisk(text string) (Disk, error) {
	fields := strings.Split(text, " ")
	if len(fields) == 2 {
		fields = []string{fields[0], "", fields[1]}
	}
	if len(fields) != 3 || fields[0] == "" {
		return Disk{}, fmt.Errorf("disk %q is not <name> <serial> <bytes>", text)
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return Disk{}, fmt.Errorf("disk's size in bytes: %w", err)
	}
	return Disk{Name: fields[0], Serial: fields[1], Bytes: size}, nil
}
