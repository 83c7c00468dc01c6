package guest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"grenade/framework/guest"
	"grenade/framework/tree/debstack"
)

const (
	volume   = "d7a4c6b0-1111-4222-8333-444455556666"
	serial   = "d7a4c6b0-1111-4222-8" // what nova gives a disk: the first 20 characters
	megabyte = 1 << 20
)

// TestRealGuest boots guests of the kernel and busybox that Debian has today.
func TestRealGuest(t *testing.T) {
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("there is no qemu-system-x86_64 on this machine (Debian's qemu-system-x86)")
	}
	if os.Getenv("GRENADE_TEST_BUILD") == "" || unix.Geteuid() != 0 {
		t.Skip("really fetches packages from a Debian mirror, as root: set GRENADE_TEST_BUILD=1")
	}
	for _, suite := range []string{"bookworm", "trixie"} {
		t.Run(suite, func(t *testing.T) {
			files := realFiles(t, suite)
			t.Run("one guest", func(t *testing.T) { testOneGuest(t, files) })
			t.Run("disks that fail", func(t *testing.T) { testFailingDisks(t, files) })
			t.Run("4096-byte sectors", func(t *testing.T) { testLargeSectors(t, files) })
			t.Run("little memory", func(t *testing.T) { testLittleMemory(t, files) })
			t.Run("power button", func(t *testing.T) { testPowerButton(t, files) })
			t.Run("reset", func(t *testing.T) { testReset(t, files) })
		})
	}
}

// realFiles makes a guest's files as a cloud does.
func realFiles(t *testing.T, suite string) string {
	t.Helper()
	g := NewWithT(t)
	mirror, err := debstack.FindMirror(t.Context(), os.Getenv(debstack.MirrorSetting), debstack.Host{})
	g.Expect(err).NotTo(HaveOccurred())
	builder, err := debstack.NewGuestBuilder(&debstack.Mmdebstrap{Mirror: mirror})
	g.Expect(err).NotTo(HaveOccurred())
	cache := &debstack.Cache{Dir: t.TempDir(), Of: debstack.KindGuest, Archives: mirror, Builder: builder}
	made, err := cache.Ensure(t.Context(), debstack.Want{Suite: suite, Packages: debstack.GuestPackages()}, nil)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = made.Release() })
	return made.Path
}

func testOneGuest(t *testing.T, files string) {
	t.Helper()
	g := NewWithT(t)
	began := time.Now()
	v := start(t, files, options{})
	v.awaitUp(t)
	up := time.Since(began)
	first, disks := v.state(t)
	t.Logf("answers %.1f s after qemu's start; %v %v", up.Seconds(), first, disks)
	g.Expect(first).To(And(
		HaveKeyWithValue("boot_id", MatchRegexp(`^[0-9a-f-]{36}$`)), HaveKeyWithValue("uptime", MatchRegexp(`^\d+\.\d\d$`)),
		HaveKeyWithValue("kernel", ContainSubstring("cloud-amd64")), HaveKeyWithValue("hostname", "grenade-guest"), HaveKeyWithValue("address", "10.0.2.15"),
	))
	g.Expect(disks).To(Equal([]string{"vda  4194304"}), "the root disk has no serial number")
	g.Eventually(func() string { return v.console(t) }, patience).Should(And(
		ContainSubstring("grenade-guest: started uptime="), ContainSubstring("boot_id="+first["boot_id"]), ContainSubstring("grenade-guest: bound address=10.0.2.15/24")))

	// The root disk is the image's.
	g.Expect(v.get(t, "/cgi-bin/read?disk=vda&offset=512&length=1024")).To(Equal(string(guest.Sector(1)) + string(guest.Sector(2))))
	image, err := os.ReadFile(filepath.Join(files, "disk.raw"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(v.get(t, "/cgi-bin/sha256?disk=vda&offset=0&length=4194304")).To(Equal(sum(image) + "\n"))

	testVolume(t, v)
	testWrongQuestions(t, v)

	// DHCP answers again, and nothing of it disturbs the guest.
	renewed := v.post(t, "/cgi-bin/renew", nil)
	g.Expect(renewed).To(ContainSubstring("address=10.0.2.15\nserver=10.0.2.2\n"))
	later := v.post(t, "/cgi-bin/renew", nil)
	g.Expect(later).NotTo(Equal(renewed), "its uptime")
	// QEMU's network has no metadata service.
	a := v.ask(t.Context(), http.MethodGet, "/cgi-bin/metadata", nil)
	g.Expect(a.status).To(Equal(http.StatusBadGateway), a.body)
	g.Expect(a.body).To(ContainSubstring("169.254.169.254"))

	last, _ := v.state(t)
	g.Expect(last["boot_id"]).To(Equal(first["boot_id"]))
	g.Expect(last["uptime"]).NotTo(Equal(first["uptime"]))
}

func testVolume(t *testing.T, v *vm) {
	t.Helper()
	g := NewWithT(t)
	file := v.plug(t, "volume", serial, 1<<30)
	g.Eventually(func() []string { _, disks := v.state(t); return disks }, patience).Should(ContainElement("vdb " + serial + " 1073741824"))

	content := make([]byte, 3*megabyte+512)
	_, err := rand.Read(content)
	g.Expect(err).NotTo(HaveOccurred())
	const offset = 1<<30 - 4*megabyte + 1536
	g.Expect(v.post(t, fmt.Sprintf("/cgi-bin/write?disk=%s&offset=%d", volume, offset), content)).To(Equal(sum(content) + "\n"))
	// What the guest says it wrote is in the file on this side.
	written := make([]byte, len(content))
	handle, err := os.OpenFile(file, os.O_RDWR, 0)
	g.Expect(err).NotTo(HaveOccurred())
	defer handle.Close()
	_, err = handle.ReadAt(written, offset)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(bytes.Equal(written, content)).To(BeTrue())
	for _, name := range []string{volume, serial, "d7a4", "vdb"} {
		got := v.get(t, fmt.Sprintf("/cgi-bin/read?disk=%s&offset=%d&length=%d", name, offset, len(content)))
		g.Expect(got == string(content)).To(BeTrue(), name) //nolint:ginkgolinter // 3 MB of random bytes are no message
	}

	// What changes on this side, the guest sees: it reads the device, not its memory.
	content[777] ^= 0xff
	_, err = handle.WriteAt(content, offset)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(v.get(t, fmt.Sprintf("/cgi-bin/sha256?disk=%s&offset=%d&length=%d", volume, offset, len(content)))).To(Equal(sum(content) + "\n"))

	// Much, and several at a time.
	began := time.Now()
	zeros := sha256.Sum256(make([]byte, 64*megabyte))
	g.Expect(v.get(t, "/cgi-bin/sha256?disk=vdb&offset=0&length=67108864")).To(Equal(hex.EncodeToString(zeros[:]) + "\n"))
	t.Logf("sha256 of 64 MB: %.1f s", time.Since(began).Seconds())
	began = time.Now()
	g.Expect(v.get(t, "/cgi-bin/read?disk=vdb&offset=0&length=67108864")).To(HaveLen(64 * megabyte))
	t.Logf("read of 64 MB: %.1f s", time.Since(began).Seconds())
	var readers sync.WaitGroup
	answers := make([]answer, 8)
	for i := range answers {
		readers.Go(func() {
			answers[i] = v.ask(t.Context(), http.MethodGet, fmt.Sprintf("/cgi-bin/read?disk=vdb&offset=%d&length=65536", offset), nil)
		})
	}
	readers.Wait()
	for _, a := range answers {
		g.Expect(a.body == string(content[:65536])).To(BeTrue()) //nolint:ginkgolinter // 64 kB of random bytes are no message
	}

	// Two volumes whose serial numbers begin alike.
	v.plug(t, "second", "d7a4ffff-1111-4222-8", megabyte)
	g.Eventually(func() []string { _, disks := v.state(t); return disks }, patience).Should(HaveLen(3))
	a := v.ask(t.Context(), http.MethodGet, "/cgi-bin/read?disk=d7a4&offset=0&length=512", nil)
	g.Expect(a.status).To(Equal(http.StatusConflict), a.body)

	// Both go.
	for _, name := range []string{"volume", "second"} {
		v.monitor.call(t, "device_del", map[string]any{"id": name})
	}
	g.Eventually(func() []string { _, disks := v.state(t); return disks }, patience).Should(Equal([]string{"vda  4194304"}))
	g.Expect(v.monitor.saw("DEVICE_DELETED")).To(BeTrue())
	a = v.ask(t.Context(), http.MethodGet, "/cgi-bin/read?disk="+volume+"&offset=0&length=512", nil)
	g.Expect(a.status).To(Equal(http.StatusNotFound), a.body)
	v.plug(t, "again", serial, megabyte)
	g.Eventually(func() []string { _, disks := v.state(t); return disks }, patience).Should(ContainElement(HaveSuffix(" " + serial + " 1048576")))
}

func testWrongQuestions(t *testing.T, v *vm) {
	t.Helper()
	sector := make([]byte, 512)
	for _, test := range []struct {
		method, path string
		body         []byte
		status       int
		says         string
	}{
		{"GET", "read", nil, 400, "no disk"},
		{"GET", "read?disk=&offset=0&length=512", nil, 400, "no disk"},
		{"GET", "read?disk=vdz&offset=0&length=512", nil, 404, "vdz"},
		{"GET", "read?disk=vda&length=512", nil, 400, "no offset"},
		{"GET", "read?disk=vda&offset=0", nil, 400, "no length"},
		{"GET", "read?disk=vda&offset=0&length=0", nil, 400, "length is 0"},
		{"GET", "read?disk=vda&offset=1&length=512", nil, 400, "multiple of 512"},
		{"GET", "read?disk=vda&offset=0&length=511", nil, 400, "multiple of 512"},
		{"GET", "read?disk=vda&offset=-512&length=512", nil, 400, "no number"},
		{"GET", "read?disk=vda&offset=0x0&length=512", nil, 400, "no number"},
		{"GET", "read?disk=vda&offset=4194304&length=512", nil, 416, "behind its end"},
		{"GET", "sha256?disk=vda&offset=4193792&length=1024", nil, 416, "behind its end"},
		{"GET", "sha256?disk=vda&offset=0&length=9999999999999999999999", nil, 400, "no number"},
		{"GET", "read?disk=vda&offset=0&length=512&x=1", nil, 400, "x=1"},
		{"GET", "read?disk=$(reboot)&offset=0&length=512", nil, 400, "letters, digits and dashes"},
		{"GET", "read?disk=..%2Fvda&offset=0&length=512", nil, 400, "letters, digits and dashes"},
		{"GET", "read?disk=../block/vda&offset=0&length=512", nil, 400, "letters, digits and dashes"},
		{"POST", "read?disk=vda&offset=0&length=512", sector, 405, "GET only"},
		{"POST", "state", sector, 405, "GET only"},
		{"GET", "state?x=1", nil, 400, "x=1"},
		{"GET", "write?disk=vda&offset=0", nil, 405, "POST only"},
		{"GET", "renew", nil, 405, "POST only"},
		{"POST", "write?disk=vda&offset=0", nil, 400, ""},
		{"POST", "write?disk=vda&offset=0", sector[:511], 400, "multiple of 512"},
		{"POST", "write?disk=vda&offset=4194304", sector, 416, "behind its end"},
		{"POST", "write?disk=vdz&offset=0", make([]byte, 4*megabyte), 404, "vdz"},
		{"GET", "nothing", nil, 404, ""},
	} {
		g := NewWithT(t)
		a := v.ask(t.Context(), test.method, "/cgi-bin/"+test.path, test.body)
		what := test.method + " " + test.path + ": " + a.body
		g.Expect(a.err).NotTo(HaveOccurred(), what)
		g.Expect(a.status).To(Equal(test.status), what)
		g.Expect(a.body).To(ContainSubstring(test.says), what)
		g.Expect(a.body).NotTo(ContainSubstring("<"), what)
		if test.says != "" {
			g.Expect(a.kind).To(Equal("text/plain"), what)
			g.Expect(a.body).To(MatchRegexp(`^[^\n]+[.:]\n$`), what)
		}
	}
	// A client that promises more than it sends.
	g := NewWithT(t)
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(v.url, "http://"))
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = connection.Close() }()
	_, err = fmt.Fprintf(connection, "POST /cgi-bin/write?disk=vda&offset=0 HTTP/1.0\r\nContent-Length: 1024\r\n\r\n%s", sector)
	g.Expect(err).NotTo(HaveOccurred())
	half, ok := connection.(*net.TCPConn)
	g.Expect(ok).To(BeTrue())
	g.Expect(half.CloseWrite()).To(Succeed())
	text, err := io.ReadAll(connection)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(text)).NotTo(ContainSubstring(" 200 "))
	v.state(t)
}

// testFailingDisks: an answer must never look whole when it is not.
func testFailingDisks(t *testing.T, files string) {
	t.Helper()
	g := NewWithT(t)
	v := start(t, files, options{})
	v.awaitUp(t)
	file := filepath.Join(v.dir, "bad")
	g.Expect(os.WriteFile(file, make([]byte, megabyte), 0o600)).To(Succeed())
	for _, name := range []string{"bad", "worse"} {
		errorAt := map[string]any{"event": "none", "iotype": "read", "errno": 5, "once": false}
		if name == "bad" {
			errorAt["sector"] = 1024
		}
		v.monitor.call(t, "blockdev-add", map[string]any{
			"driver": "blkdebug", "node-name": name, "inject-error": []any{errorAt},
			"image": map[string]any{"driver": "file", "filename": file, "locking": "off"},
		})
		v.plugNode(t, name, name+"-0000-1111-2222", map[string]any{"share-rw": true})
	}
	v.monitor.call(t, "blockdev-add", map[string]any{
		"driver": "raw", "node-name": "fixed", "read-only": true,
		"file": map[string]any{"driver": "file", "filename": file, "locking": "off", "read-only": true},
	})
	v.plugNode(t, "fixed", "fixed-0000-1111-2222", nil)
	g.Eventually(func() []string { _, disks := v.state(t); return disks }, patience).Should(HaveLen(4))

	ask := func(path string) answer { return v.ask(t.Context(), http.MethodGet, "/cgi-bin/"+path, nil) }
	g.Expect(ask("sha256?disk=bad&offset=0&length=524288").status).To(Equal(200), "the good half")
	for _, path := range []string{
		"sha256?disk=bad&offset=0&length=1048576", "read?disk=bad&offset=524288&length=512", "read?disk=worse&offset=0&length=512", "sha256?disk=worse&offset=0&length=512",
	} {
		a := ask(path)
		g.Expect(a.status).To(Equal(500), path+a.body)
		g.Expect(a.body).To(ContainSubstring("cannot be read"))
	}
	a := ask("read?disk=bad&offset=0&length=1048576")
	g.Expect(a.err).To(MatchError(io.ErrUnexpectedEOF), "it failed after its status was sent")
	a = v.ask(t.Context(), http.MethodPost, "/cgi-bin/write?disk=fixed&offset=0", make([]byte, megabyte))
	g.Expect(a.status).To(Equal(500), a.body)
	g.Expect(a.body).To(ContainSubstring("cannot be written"))
	a = v.ask(t.Context(), http.MethodPost, "/cgi-bin/write?disk=worse&offset=0", make([]byte, 512))
	g.Expect(a.status).To(Equal(500), "what cannot be read back was not written: "+a.body)
}

func testLargeSectors(t *testing.T, files string) {
	t.Helper()
	g := NewWithT(t)
	v := start(t, files, options{})
	v.awaitUp(t)
	file := filepath.Join(v.dir, "large")
	g.Expect(os.WriteFile(file, make([]byte, megabyte), 0o600)).To(Succeed())
	v.monitor.call(t, "blockdev-add", map[string]any{"driver": "file", "node-name": "large", "filename": file})
	v.plugNode(t, "large", "large", map[string]any{"logical_block_size": 4096, "physical_block_size": 4096})
	g.Eventually(func() []string { _, disks := v.state(t); return disks }, patience).Should(ContainElement("vdb large 1048576"))
	content := bytes.Repeat([]byte("0123456789abcdef"), 512/16*3)
	g.Expect(v.post(t, "/cgi-bin/write?disk=large&offset=512", content)).To(Equal(sum(content) + "\n"))
	g.Expect(v.get(t, "/cgi-bin/read?disk=large&offset=512&length=1536")).To(Equal(string(content)))
	g.Expect(v.get(t, "/cgi-bin/sha256?disk=large&offset=0&length=4096")).To(HaveLen(65))
}

// testLittleMemory: the smallest that the guest boots in, and still answers for more than fits into its memory.
func testLittleMemory(t *testing.T, files string) {
	t.Helper()
	g := NewWithT(t)
	v := start(t, files, options{megabytes: 80})
	v.awaitUp(t)
	v.plug(t, "volume", serial, 1<<30)
	g.Eventually(func() []string { _, disks := v.state(t); return disks }, patience).Should(HaveLen(2))
	content := make([]byte, 40*megabyte)
	g.Expect(v.post(t, "/cgi-bin/write?disk=vdb&offset=0", content)).To(Equal(sum(content) + "\n"))
	g.Expect(v.console(t)).NotTo(ContainSubstring("Out of memory"))
}

func testPowerButton(t *testing.T, files string) {
	t.Helper()
	v := start(t, files, options{})
	v.awaitUp(t)
	g := NewWithT(t)
	began := time.Now()
	v.monitor.call(t, "system_powerdown", nil)
	var ended error
	g.Eventually(v.ended, patience).Should(Receive(&ended))
	t.Logf("off %.1f s after the power button", time.Since(began).Seconds())
	g.Expect(ended).NotTo(HaveOccurred())
	g.Expect(time.Since(began)).To(BeNumerically("<", 20*time.Second))
	g.Expect(v.console(t)).To(ContainSubstring("the power button was pressed"))
}

// testReset: a guest that was rebooted says so, whatever the reason.
func testReset(t *testing.T, files string) {
	t.Helper()
	g := NewWithT(t)
	v := start(t, files, options{})
	v.awaitUp(t)
	before, _ := v.state(t)
	v.monitor.call(t, "system_reset", nil)
	g.Eventually(func() string {
		// QEMU accepts connections while the guest boots.
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		a := v.ask(ctx, http.MethodGet, "/cgi-bin/state", nil)
		if a.err != nil || a.status != http.StatusOK {
			return before["boot_id"]
		}
		_, rest, _ := strings.Cut(a.body, "boot_id=")
		return rest[:min(36, len(rest))]
	}, patience, 100*time.Millisecond).ShouldNot(Equal(before["boot_id"]))
	after, _ := v.state(t)
	g.Expect(after["address"]).To(Equal(before["address"]))
}

func sum(content []byte) string {
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:])
}
