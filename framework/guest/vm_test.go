package guest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
)

// vm is a guest that runs in QEMU on this machine, with the devices that nova gives a server. Its port 80 is a port of
// the loopback interface.
type vm struct {
	process *exec.Cmd
	ended   chan error
	dir     string
	url     string
	client  *http.Client
	monitor *monitor
}

// options of a vm; the defaults are those of a small flavor.
type options struct {
	megabytes int
	arguments []string
}

// patience is how long a guest may take for anything: several of them may share a slow machine.
const patience = 2 * time.Minute

// start boots a guest from a directory of its files, and ends it with the test.
func start(t *testing.T, files string, o options) *vm {
	t.Helper()
	g := NewWithT(t)
	if o.megabytes == 0 {
		o.megabytes = 128
	}
	dir := t.TempDir()
	line, err := os.ReadFile(filepath.Join(files, "cmdline"))
	g.Expect(err).NotTo(HaveOccurred())
	port := freePort(t)
	arguments := []string{
		"-nodefaults", "-display", "none", "-machine", "pc,accel=tcg", "-cpu", "qemu64", "-m", fmt.Sprint(o.megabytes),
		"-kernel", filepath.Join(files, "vmlinuz"), "-initrd", filepath.Join(files, "initrd"), "-append", strings.TrimSpace(string(line)),
		"-serial", "file:" + filepath.Join(dir, "console"), "-qmp", "unix:" + filepath.Join(dir, "qmp") + ",server=on,wait=off",
		"-drive", "if=none,id=root,format=raw,snapshot=on,file=" + filepath.Join(files, "disk.raw"), "-device", "virtio-blk-pci,drive=root",
		"-netdev", fmt.Sprintf("user,id=net,hostfwd=tcp:127.0.0.1:%d-:80", port), "-device", "virtio-net-pci,netdev=net",
	}
	v := &vm{
		process: exec.CommandContext(t.Context(), "qemu-system-x86_64", append(arguments, o.arguments...)...),
		ended:   make(chan error, 1), dir: dir, url: fmt.Sprintf("http://127.0.0.1:%d", port),
		client: &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	var said bytes.Buffer
	v.process.Stdout, v.process.Stderr = &said, &said
	g.Expect(v.process.Start()).To(Succeed())
	go func() { v.ended <- v.process.Wait() }()
	t.Cleanup(func() {
		_ = v.process.Process.Kill() // it may have ended already
		if t.Failed() {
			console, _ := os.ReadFile(filepath.Join(dir, "console"))
			t.Logf("qemu: %s\nconsole:\n%s", said.String(), console)
		}
	})
	v.monitor = v.connect(t)
	return v
}

// freePort is a port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	g := NewWithT(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = listener.Close() }()
	address, ok := listener.Addr().(*net.TCPAddr)
	g.Expect(ok).To(BeTrue())
	return address.Port
}

// answer is what a guest said.
type answer struct {
	status int
	kind   string
	body   string
	err    error // of reading the body
}

// ask asks once. No connection is status 0.
func (v *vm) ask(ctx context.Context, method, path string, body []byte) answer {
	request, err := http.NewRequestWithContext(ctx, method, v.url+path, bytes.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	response, err := v.client.Do(request)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, kind: response.Header.Get("Content-Type"), body: string(text), err: err}
}

// get expects an answer.
func (v *vm) get(t *testing.T, path string) string {
	t.Helper()
	return good(t, v.ask(t.Context(), http.MethodGet, path, nil))
}

func (v *vm) post(t *testing.T, path string, body []byte) string {
	t.Helper()
	return good(t, v.ask(t.Context(), http.MethodPost, path, body))
}

func good(t *testing.T, a answer) string {
	t.Helper()
	g := NewWithT(t)
	g.Expect(a.err).NotTo(HaveOccurred())
	g.Expect(a.status).To(Equal(http.StatusOK), a.body)
	g.Expect(a.kind).To(Equal("text/plain"))
	return a.body
}

// state is what the guest says of itself: values by key, and disks as "name serial bytes".
func (v *vm) state(t *testing.T) (values map[string]string, disks []string) {
	t.Helper()
	values = map[string]string{}
	for line := range strings.Lines(v.get(t, "/cgi-bin/state")) {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		NewWithT(t).Expect(ok).To(BeTrue(), line)
		if key == "disk" {
			disks = append(disks, value)
			continue
		}
		values[key] = value
	}
	return values, disks
}

// awaitUp returns when the guest answers.
func (v *vm) awaitUp(t *testing.T) {
	t.Helper()
	NewWithT(t).Eventually(func() error {
		select {
		case err := <-v.ended:
			v.ended <- err
			return StopTrying("qemu has ended").Wrap(err)
		default:
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		a := v.ask(ctx, http.MethodGet, "/cgi-bin/state", nil)
		if a.status != http.StatusOK {
			return fmt.Errorf("status %d, %w", a.status, a.err)
		}
		return nil
	}, patience, 50*time.Millisecond).Should(Succeed())
}

// console is everything that the guest has written to its serial port.
func (v *vm) console(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(v.dir, "console"))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// plug adds a disk with this serial number to the running guest; the file is made if size is not 0.
func (v *vm) plug(t *testing.T, name, serial string, size int64) (file string) {
	t.Helper()
	file = filepath.Join(v.dir, name)
	g := NewWithT(t)
	g.Expect(os.WriteFile(file, nil, 0o600)).To(Succeed())
	g.Expect(os.Truncate(file, size)).To(Succeed())
	v.monitor.call(t, "blockdev-add", map[string]any{"driver": "raw", "node-name": name, "file": map[string]any{"driver": "file", "filename": file}})
	v.plugNode(t, name, serial, nil)
	return file
}

// plugNode adds a disk for a block node that QEMU has.
func (v *vm) plugNode(t *testing.T, name, serial string, more map[string]any) {
	t.Helper()
	device := map[string]any{"driver": "virtio-blk-pci", "id": name, "drive": name, "serial": serial}
	for key, value := range more {
		device[key] = value
	}
	v.monitor.call(t, "device_add", device)
}

// monitor is QEMU's machine protocol (QEMU documentation, "QEMU Machine Protocol Specification").
type monitor struct {
	connection net.Conn
	answers    chan map[string]any
	mu         sync.Mutex
	events     []string
}

func (v *vm) connect(t *testing.T) *monitor {
	t.Helper()
	g := NewWithT(t)
	m := &monitor{answers: make(chan map[string]any, 16)}
	g.Eventually(func() (err error) {
		m.connection, err = (&net.Dialer{}).DialContext(t.Context(), "unix", filepath.Join(v.dir, "qmp"))
		return err
	}, patience, 20*time.Millisecond).Should(Succeed())
	t.Cleanup(func() { _ = m.connection.Close() })
	go m.read()
	m.call(t, "qmp_capabilities", nil)
	return m
}

func (m *monitor) read() {
	lines := bufio.NewScanner(m.connection)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var message map[string]any
		if json.Unmarshal(lines.Bytes(), &message) != nil {
			continue
		}
		if event, ok := message["event"].(string); ok {
			m.mu.Lock()
			m.events = append(m.events, event)
			m.mu.Unlock()
		} else if message["QMP"] == nil {
			m.answers <- message
		}
	}
}

// saw says whether an event has come.
func (m *monitor) saw(event string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, each := range m.events {
		if each == event {
			return true
		}
	}
	return false
}

func (m *monitor) call(t *testing.T, command string, arguments map[string]any) {
	t.Helper()
	g := NewWithT(t)
	text, err := json.Marshal(map[string]any{"execute": command, "arguments": arguments})
	if arguments == nil {
		text, err = json.Marshal(map[string]any{"execute": command})
	}
	g.Expect(err).NotTo(HaveOccurred())
	_, err = m.connection.Write(append(text, '\n'))
	g.Expect(err).NotTo(HaveOccurred())
	select {
	case message := <-m.answers:
		g.Expect(message["error"]).To(BeNil(), command)
	case <-time.After(patience):
		t.Fatal(errors.New(command + ": QEMU does not answer"))
	}
}
