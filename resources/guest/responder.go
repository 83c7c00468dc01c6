package guest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Responder talks to the HTTP server of a guest. It keeps no connection: one
// that outlived a restart of the network would prove nothing.
type Responder struct {
	// Address is the guest's floating address, with ":port" when that is not 80.
	Address string
}

// BlockSize is what offsets and lengths must be multiples of, in bytes.
const BlockSize = 512

const (
	stateWithin = 15 * time.Second
	// diskWithin bounds one reading or writing: an emulated disk is slow.
	diskWithin = 2 * time.Minute
	// stateLimit is in bytes; a state has a few hundred.
	stateLimit = 1 << 20
)

// State asks the guest how it is.
func (r Responder) State(ctx context.Context) (State, error) {
	body, err := r.call(ctx, stateWithin, http.MethodGet, "state", nil, nil, stateLimit)
	if err != nil {
		return State{}, err
	}
	state, err := parseState(string(body))
	if err != nil {
		return State{}, fmt.Errorf("state of guest %s: %w", r.Address, err)
	}
	return state, nil
}

// Metadata asks the guest what the cloud's metadata service tells it of itself:
// OpenStack's meta_data.json.
func (r Responder) Metadata(ctx context.Context) (map[string]any, error) {
	body, err := r.call(ctx, stateWithin, http.MethodGet, "metadata", nil, nil, stateLimit)
	if err != nil {
		return nil, err
	}
	var document map[string]any
	if err := json.Unmarshal(body, &document); err != nil {
		return nil, fmt.Errorf("metadata of guest %s: read JSON: %w", r.Address, err)
	}
	return document, nil
}

// Read returns what is on one of the guest's disks, read past its page cache.
// disk is a name ("vda"), a serial number, or a volume's id. offset and length
// are in bytes, multiples of BlockSize.
func (r Responder) Read(ctx context.Context, disk string, offset, length int64) ([]byte, error) {
	if err := aligned(offset, length); err != nil {
		return nil, fmt.Errorf("read disk %s of guest %s: %w", disk, r.Address, err)
	}
	query := place(disk, offset)
	query.Set("length", strconv.FormatInt(length, 10))
	body, err := r.call(ctx, diskWithin, http.MethodGet, "read", query, nil, length+1)
	if err != nil {
		return nil, err
	}
	if int64(len(body)) != length {
		return nil, fmt.Errorf("read disk %s of guest %s at %d: asked for %d bytes, got %d", disk, r.Address, offset, length, len(body))
	}
	return body, nil
}

// Write writes to one of the guest's disks and returns when the guest has read
// the same bytes back past its page cache.
func (r Responder) Write(ctx context.Context, disk string, offset int64, data []byte) error {
	if err := aligned(offset, int64(len(data))); err != nil {
		return fmt.Errorf("write to disk %s of guest %s: %w", disk, r.Address, err)
	}
	body, err := r.call(ctx, diskWithin, http.MethodPost, "write", place(disk, offset), data, stateLimit)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	want, got := hex.EncodeToString(sum[:]), strings.TrimSpace(string(body))
	if got != want {
		return fmt.Errorf("write %d bytes to disk %s of guest %s at %d: sha256 of what was written is %s, of what was read back %q",
			len(data), disk, r.Address, offset, want, got)
	}
	return nil
}

func aligned(offset, length int64) error {
	if offset < 0 || length <= 0 || offset%BlockSize != 0 || length%BlockSize != 0 {
		return fmt.Errorf("offset %d, length %d: not multiples of %d", offset, length, BlockSize)
	}
	return nil
}

func place(disk string, offset int64) url.Values {
	return url.Values{"disk": {disk}, "offset": {strconv.FormatInt(offset, 10)}}
}

// call asks for one of the guest's programs. Whatever is not 200 is an error with
// the sentence that came with it.
func (r Responder) call(ctx context.Context, within time.Duration, method, program string, query url.Values, body []byte, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	address := "http://" + r.Address + "/cgi-bin/" + program
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask guest %s: %w", r.Address, err)
	}
	// No proxy: the address means something on this machine only.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask guest: %w", err) // net/http names method and address
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(answer.Body, limit))
	if err != nil {
		return nil, fmt.Errorf("ask guest: %s %s: after %d bytes: %w", method, address, len(content), err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask guest: %s %s: HTTP %s: %.300s", method, address, answer.Status, strings.TrimSpace(string(content)))
	}
	return content, nil
}
