package guest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/ulikunitz/xz"
)

// fakePackages unpacks packages like Debian's, as far as Build looks at them. Their files are made with this time.
type fakePackages struct {
	dir  string
	when time.Time
}

// fakeModules are what virtio needs in bookworm's kernel, more or less: name to what it depends on.
func fakeModules() map[string]string {
	return map[string]string{
		"virtio_ring": "", "virtio": "", "virtio_pci": "virtio_ring,virtio", "virtio_blk": "virtio",
		"failover": "", "virtio_net": "virtio,failover", "evdev": "", "button": "",
	}
}

func newFakePackages(t *testing.T, when time.Time) *fakePackages {
	t.Helper()
	p := &fakePackages{dir: t.TempDir(), when: when}
	p.write(t, "boot/vmlinuz-6.1-test", []byte("kernel"))
	p.write(t, "bin/busybox", []byte("busybox"))
	p.write(t, "lib/modules/6.1-test/modules.builtin", []byte("kernel/drivers/pci/hotplug/acpiphp.ko\n"))
	for name, depends := range fakeModules() {
		p.write(t, "lib/modules/6.1-test/kernel/"+name+".ko", fakeModule(t, depends))
	}
	return p
}

func (p *fakePackages) write(t *testing.T, name string, content []byte) {
	t.Helper()
	g := NewWithT(t)
	path := filepath.Join(p.dir, name)
	g.Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
	g.Expect(os.WriteFile(path, content, 0o600)).To(Succeed())
	g.Expect(os.Chtimes(path, p.when, p.when)).To(Succeed())
}

func (p *fakePackages) remove(t *testing.T, name string) {
	t.Helper()
	NewWithT(t).Expect(os.Remove(filepath.Join(p.dir, name))).To(Succeed())
}

// fakeModule is an ELF file with nothing but the section that says what the module depends on.
func fakeModule(t *testing.T, depends string) []byte {
	t.Helper()
	info := []byte("license=GPL\x00depends=" + depends + "\x00name=fake\x00")
	names := []byte("\x00.modinfo\x00.shstrtab\x00")
	const header, section = 64, 64
	infoAt := uint64(header + 3*section)
	var file bytes.Buffer
	for _, part := range []any{
		elf.Header64{
			Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
			Type:  uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
			Shoff: header, Ehsize: header, Shentsize: section, Shnum: 3, Shstrndx: 2,
		},
		elf.Section64{},
		elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: infoAt, Size: uint64(len(info))},
		elf.Section64{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: infoAt + uint64(len(info)), Size: uint64(len(names))},
		info, names,
	} {
		NewWithT(t).Expect(binary.Write(&file, binary.LittleEndian, part)).To(Succeed())
	}
	return file.Bytes()
}

func compressXZ(t *testing.T, content []byte) []byte {
	t.Helper()
	g := NewWithT(t)
	var compressed bytes.Buffer
	w, err := xz.NewWriter(&compressed)
	g.Expect(err).NotTo(HaveOccurred())
	_, err = w.Write(content)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(w.Close()).To(Succeed())
	return compressed.Bytes()
}

// unpacked is an entry of an archive as the kernel would unpack it.
type unpacked struct {
	name    string
	inode   uint64
	mode    uint64
	links   uint64
	time    uint64
	content string
}

// unpack reads a cpio archive in newc format. It was written from the format's description, not from the writer.
func unpack(t *testing.T, archive []byte) []unpacked {
	t.Helper()
	g := NewWithT(t)
	at := 0
	take := func(n int) []byte {
		g.Expect(len(archive)).To(BeNumerically(">=", at+n), "the archive is cut")
		part := archive[at : at+n]
		at += n
		return part
	}
	align := func() {
		for at%4 != 0 {
			g.Expect(take(1)).To(Equal([]byte{0}), "padding")
		}
	}
	var all []unpacked
	for {
		g.Expect(string(take(6))).To(Equal("070701"))
		var field [13]uint64
		for i := range field {
			for _, digit := range take(8) {
				value := bytes.IndexByte([]byte("0123456789ABCDEF"), digit)
				g.Expect(value).NotTo(Equal(-1), "a hexadecimal digit")
				field[i] = field[i]<<4 | uint64(value)
			}
		}
		name := take(int(field[11]))
		g.Expect(name[len(name)-1]).To(BeZero())
		align()
		content := take(int(field[6]))
		align()
		if string(name) == "TRAILER!!!\x00" {
			g.Expect(at).To(Equal(len(archive)))
			return all
		}
		all = append(all, unpacked{
			name: string(name[:len(name)-1]), inode: field[0], mode: field[1], links: field[4], time: field[5], content: string(content),
		})
	}
}
