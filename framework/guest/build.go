package guest

import (
	"bytes"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// The files that Build makes.
const (
	Kernel = "vmlinuz"
	Initrd = "initrd"
	// Disk is what a server made from the image has as root disk: nothing boots from it. See Sector.
	Disk = "disk.raw"
	// CommandLine holds the kernel's command line, one line.
	CommandLine = "cmdline"
)

// commandLine: messages to the serial port, where nova's console log comes from; a guest that crashes starts again, with
// another boot id. Tests of the kernel's ciphers and the random place of the kernel cost a fifth of the boot's time under
// emulation.
const commandLine = "console=ttyS0 panic=1 quiet cryptomgr.notests nokaslr"

// files is the RAM disk's content that is ours.
//
//go:embed files
var files embed.FS

// Packages are the Debian packages whose content, with all that they depend on, Build needs.
// arch is Debian's name of the architecture; Debian has a kernel for virtual machines on amd64 and arm64.
func Packages(arch string) []string {
	return []string{"busybox-static", "linux-image-cloud-" + arch}
}

// Recipe is a text that changes when the same packages would make other files.
func Recipe() (string, error) {
	var text strings.Builder
	fmt.Fprintln(&text, "recipe 1", commandLine, drivers(), diskSectors, string(Sector(1)))
	err := fs.WalkDir(files, "files", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		fmt.Fprintf(&text, "%s %d\n%s\n", name, len(content), content)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("the guest's own files: %w", err)
	}
	return text.String(), nil
}

// Build makes the guest's files in dir, which exists, from a directory into which Packages were unpacked. The same
// packages make the same files, byte by byte.
func Build(packages, dir string) error {
	release, kernel, err := findKernel(packages)
	if err != nil {
		return err
	}
	initrd, err := ramDisk(packages, release)
	if err != nil {
		return fmt.Errorf("RAM disk: %w", err)
	}
	for name, content := range map[string][]byte{
		Kernel: kernel, Initrd: initrd, Disk: diskImage(), CommandLine: []byte(commandLine + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return fmt.Errorf("guest file: %w", err)
		}
	}
	return nil
}

// findKernel returns the release and the content of the one kernel that was unpacked.
func findKernel(packages string) (release string, kernel []byte, err error) {
	found, err := filepath.Glob(filepath.Join(packages, "boot", "vmlinuz-*"))
	if err != nil {
		return "", nil, fmt.Errorf("find the kernel: %w", err)
	}
	if len(found) != 1 {
		return "", nil, fmt.Errorf("the packages bring %d kernels (boot/vmlinuz-*), not one", len(found))
	}
	kernel, err = os.ReadFile(found[0])
	if err != nil {
		return "", nil, fmt.Errorf("kernel: %w", err)
	}
	return strings.TrimPrefix(filepath.Base(found[0]), "vmlinuz-"), kernel, nil
}

// findUsr looks for a path in a system whose /bin and /lib may or may not be links to those in /usr: unpacked packages
// lack the links.
func findUsr(packages, name string) (string, error) {
	for _, candidate := range []string{filepath.Join(packages, name), filepath.Join(packages, "usr", name)} {
		if _, err := os.Stat(candidate); err == nil {
			return candidate, nil
		}
	}
	return "", fmt.Errorf("the packages bring neither %s nor usr/%s", name, name)
}

// ramDisk makes the compressed archive that the kernel unpacks and starts /init of.
func ramDisk(packages, release string) ([]byte, error) {
	system := newArchive()
	for _, dir := range []string{"dev", "proc", "run", "sys", "tmp"} {
		system.directory(dir)
	}
	busyboxPath, err := findUsr(packages, "bin/busybox")
	if err != nil {
		return nil, err
	}
	busybox, err := os.ReadFile(busyboxPath)
	if err != nil {
		return nil, fmt.Errorf("busybox: %w", err)
	}
	system.file("bin/busybox", 0o755, busybox)
	system.link("bin/sh", "busybox")
	if err := addDrivers(system, packages, release); err != nil {
		return nil, err
	}
	if err := addOwn(system); err != nil {
		return nil, err
	}
	var compressed bytes.Buffer
	// The writer's header has neither time nor name.
	w, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := errors.Join(system.write(w), w.Close()); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return compressed.Bytes(), nil
}

// addDrivers adds the kernel's modules and, in lib/modules/order, in which order and with which parameters to load them.
func addDrivers(system *archive, packages, release string) error {
	dir, err := findUsr(packages, path.Join("lib/modules", release))
	if err != nil {
		return err
	}
	modules, err := openModules(dir)
	if err != nil {
		return err
	}
	var order strings.Builder
	for _, driver := range drivers() {
		needed, err := modules.closure(driver.name)
		if err != nil {
			return fmt.Errorf("driver %s: %w", driver.name, err)
		}
		for _, module := range needed {
			line := strings.TrimSpace(module.name + ".ko " + parameters(module.name))
			if strings.Contains(order.String(), line+"\n") {
				continue
			}
			order.WriteString(line + "\n")
			system.file("lib/modules/"+module.name+".ko", 0o644, module.content)
		}
	}
	system.file("lib/modules/order", 0o644, []byte(order.String()))
	return nil
}

// addOwn adds our own files. What has a #! line can be executed: embedding forgets modes.
func addOwn(system *archive) error {
	own, err := fs.Sub(files, "files")
	if err != nil {
		return fmt.Errorf("the guest's own files: %w", err)
	}
	err = fs.WalkDir(own, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(own, name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		mode := uint32(0o644)
		if bytes.HasPrefix(content, []byte("#!")) {
			mode = 0o755
		}
		system.file(name, mode, content)
		return nil
	})
	if err != nil {
		return fmt.Errorf("the guest's own files: %w", err)
	}
	return nil
}

// driver is a kernel module that the guest loads.
type driver struct{ name, parameters string }

// drivers are those of nova's defaults for libvirt: disks and network interface on virtio's PCI bus, and the power
// button, by which a server is stopped. Hot-plugging a disk is ACPI's affair and built into Debian's kernels.
func drivers() []driver {
	return []driver{
		{name: "virtio_pci"},
		{name: "virtio_blk"},
		// Open vSwitch's userspace datapath neither completes checksums that a guest leaves to its network card, nor cuts
		// large segments.
		{name: "virtio_net", parameters: "csum=0 gso=0"},
		{name: "evdev"},
		{name: "button"},
	}
}

func parameters(module string) string {
	all := drivers()
	if i := slices.IndexFunc(all, func(d driver) bool { return d.name == module }); i >= 0 {
		return all[i].parameters
	}
	return ""
}
