package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// answerLimit bounds one request: a server that accepts and says nothing must not hold up the wait.
	answerLimit = 10 * time.Second
	// askInterval is the pause between two requests of WaitHTTP.
	askInterval = 200 * time.Millisecond
)

// OK wants a status below 400: keystone, for one, answers 300 at its root.
func OK(status int) bool { return status >= 200 && status < 400 }

// HTTP asks once, on a connection of its own, without a proxy, and follows no redirection. It fails when there is
// no answer, or one that want does not want; the error names the address and what was seen. Only the status
// counts: a WSGI server keeps its port open, and answers 500, when the application could not be loaded.
func HTTP(ctx context.Context, address string, want func(status int) bool) error {
	seen, ok, err := get(ctx, address, want)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", address, err)
	case !ok:
		return fmt.Errorf("%s: unwanted answer: %s", address, seen)
	}
	return nil
}

// WaitHTTP asks until the answer is the wanted one, or the context ends. After each unwanted answer onWait, unless
// it is nil, is told what was seen. The error names the address, how long it waited, what was seen last, and
// the context's cause.
func WaitHTTP(ctx context.Context, address string, want func(status int) bool, onWait func(lastSeen string)) error {
	started, last := time.Now(), "nothing"
	tick := time.NewTicker(askInterval)
	defer tick.Stop()
	for {
		seen, ok, err := get(ctx, address, want)
		if ok && err == nil {
			return nil
		}
		if err != nil {
			seen = err.Error()
		}
		// What the end of the wait itself looks like is no news.
		if ctx.Err() == nil {
			last = seen
			if onWait != nil {
				onWait(last)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: not answered as wanted within %s; last seen: %s: %w",
				address, time.Since(started).Round(100*time.Millisecond), last, context.Cause(ctx))
		}
	}
}

// get makes one request.
func get(ctx context.Context, address string, want func(status int) bool) (seen string, ok bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerLimit, fmt.Errorf("no answer within %s", answerLimit))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", false, fmt.Errorf("no address to ask: %w", err)
	}
	client := http.Client{
		// No Proxy: the cloud is on a link of this machine.
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return "", false, fmt.Errorf("asking ended: %w", cause)
		}
		// The address is in our own sentence.
		if inner := new(url.Error); errors.As(err, &inner) {
			err = inner.Err
		}
		return "", false, err
	}
	defer func() { _ = response.Body.Close() }()
	// A server that says 200 and then dies has not answered.
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)); err != nil {
		return "", false, fmt.Errorf("status %s, but: %w", response.Status, err)
	}
	return "status " + response.Status, want(response.StatusCode), nil
}
