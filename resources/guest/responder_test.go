package guest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// fakeGuest answers as the guest's responder does, with one disk in memory.
type fakeGuest struct {
	disk []byte
	// forgets is the fault that Write is there to find: it loses what is written.
	forgets bool
	// breaksOff ends a reading early, as a guest that is killed does.
	breaksOff bool
}

func (f *fakeGuest) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	offset, _ := strconv.Atoi(query.Get("offset"))
	switch r.Method + " " + r.URL.Path {
	case "GET /cgi-bin/state":
		_, _ = io.WriteString(w, "boot_id=11-22\nuptime=12.5\nkernel=6.1\nhostname=h\naddress=10.0.0.7\ndisk=vda  1073741824\ndisk=vdb 0123456789abcdef0123 512\n")
	case "GET /cgi-bin/read":
		length, _ := strconv.Atoi(query.Get("length"))
		if query.Get("disk") != "vda" {
			http.Error(w, "there is no disk "+query.Get("disk"), http.StatusNotFound)
			return
		}
		if f.breaksOff {
			length--
		}
		_, _ = w.Write(f.disk[offset : offset+length])
	case "POST /cgi-bin/write":
		body, _ := io.ReadAll(r.Body)
		if !f.forgets {
			copy(f.disk[offset:], body)
		}
		sum := sha256.Sum256(f.disk[offset : offset+len(body)])
		_, _ = io.WriteString(w, hex.EncodeToString(sum[:])+"\n")
	default:
		http.NotFound(w, r)
	}
}

func newFakeGuest(t *testing.T) (*fakeGuest, Responder) {
	t.Helper()
	fake := &fakeGuest{disk: make([]byte, 4096)}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	return fake, Responder{Address: strings.TrimPrefix(server.URL, "http://")}
}

func TestStateOfAGuest(t *testing.T) {
	_, responder := newFakeGuest(t)
	g := NewWithT(t)
	state, err := responder.State(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(state).To(Equal(State{
		BootID: "11-22", Uptime: 12500 * time.Millisecond, Kernel: "6.1", Hostname: "h", Address: "10.0.0.7",
		Disks: []Disk{{Name: "vda", Bytes: 1 << 30}, {Name: "vdb", Serial: "0123456789abcdef0123", Bytes: 512}},
	}))
	disk, ok := state.Disk("0123456789abcdef0123-and-the-rest-of-the-id")
	g.Expect(ok).To(BeTrue())
	g.Expect(disk.Name).To(Equal("vdb"))
	_, ok = state.Disk("vdc")
	g.Expect(ok).To(BeFalse(), "a disk without a serial number is not every disk")
}

func TestAStateThatIsNoneIsRefused(t *testing.T) {
	for _, text := range []string{"", "<html>", "boot_id=1\n", "uptime=1\n", "boot_id=1\nuptime=soon\n", "boot_id=1\nuptime=1\ndisk=vda\n", "boot_id=1\nuptime=1\ndisk=vda x big\n"} {
		_, err := parseState(text)
		NewWithT(t).Expect(err).To(HaveOccurred(), "%q", text)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	_, responder := newFakeGuest(t)
	g, ctx := NewWithT(t), t.Context()
	data := bytes.Repeat([]byte("grenade\x00"), 128)
	g.Expect(responder.Write(ctx, "vda", 512, data)).To(Succeed())
	seen, err := responder.Read(ctx, "vda", 512, int64(len(data)))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(seen).To(Equal(data))
}

func TestALostWriteIsAnError(t *testing.T) {
	fake, responder := newFakeGuest(t)
	fake.forgets = true
	err := responder.Write(t.Context(), "vda", 0, bytes.Repeat([]byte{1}, 512))
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("read back")))
}

func TestAShortReadingIsAnError(t *testing.T) {
	fake, responder := newFakeGuest(t)
	fake.breaksOff = true
	_, err := responder.Read(t.Context(), "vda", 0, 1024)
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("asked for 1024 bytes, got 1023")))
}

func TestTheGuestsOwnSentenceIsInTheError(t *testing.T) {
	_, responder := newFakeGuest(t)
	_, err := responder.Read(t.Context(), "vdx", 0, 512)
	NewWithT(t).Expect(err).To(MatchError(And(ContainSubstring("HTTP 404"), ContainSubstring("there is no disk vdx"))))
}

func TestUnalignedPlacesAreRefused(t *testing.T) {
	_, responder := newFakeGuest(t)
	for _, place := range [][2]int64{{1, 512}, {0, 511}, {-512, 512}, {0, 0}} {
		_, err := responder.Read(t.Context(), "vda", place[0], place[1])
		NewWithT(t).Expect(err).To(MatchError(ContainSubstring("multiples of 512")), fmt.Sprint(place))
	}
}

func TestPing(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	err := Responder{Address: "127.0.0.1:80"}.Ping(ctx)
	if err != nil && strings.Contains(err.Error(), "operation not permitted") {
		t.Skip("this user may not send pings")
	}
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(Responder{Address: "guest"}.Ping(ctx)).To(MatchError(ContainSubstring("no IP address")))
}
