package exec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// TailLines is how many last lines a Result and an Error carry.
	TailLines = 20
	// MaxLine is where OnLine cuts a line, in bytes.
	MaxLine = 64 << 10
	// maxTailLine is where a line of the tail is cut, in bytes, and tailWindow how far back it is looked for.
	maxTailLine = 4 << 10
	tailWindow  = TailLines * (maxTailLine + 1)
	// followInterval is how often the file is looked at while OnLine is told.
	followInterval = 100 * time.Millisecond
)

// output is a file that a program appends to and that we read.
type output struct {
	writer *os.File
	reader *os.File
	start  int64
}

// openOutput opens path for appending and remembers where it ends now; "" makes a private file without a name.
func openOutput(path string, owner *Owner) (*output, error) {
	if path == "" {
		file, private, err := privateFile()
		if err != nil {
			return nil, fmt.Errorf("file for the output: %w", err)
		}
		defer func() { _ = file.Close() }()
		path = private
	}
	writer, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	reader, err := os.Open(path)
	if err != nil {
		_ = writer.Close()
		return nil, fmt.Errorf("log: %w", err)
	}
	o := &output{writer: writer, reader: reader}
	if owner != nil {
		if err := writer.Chown(owner.UID, owner.GID); err != nil {
			o.close()
			return nil, fmt.Errorf("log: %w", err)
		}
	}
	if o.start, err = o.size(); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// privateFile makes a file that nobody else can see, and gives a path by which this process can open it as
// long as the file is open. It has no name from the start (O_TMPFILE, open(2)), so that nothing is left of it
// when this process is killed; where a file system has no such files it has one for a moment.
func privateFile() (*os.File, string, error) {
	file, err := os.OpenFile(os.TempDir(), os.O_WRONLY|unix.O_TMPFILE, 0o600)
	if err != nil {
		file, err = os.CreateTemp("", "grenade-output-")
		if err != nil {
			return nil, "", fmt.Errorf("in %s: %w", os.TempDir(), err)
		}
		if err := os.Remove(file.Name()); err != nil {
			_ = file.Close()
			return nil, "", fmt.Errorf("in %s: %w", os.TempDir(), err)
		}
	}
	return file, fmt.Sprintf("/proc/self/fd/%d", file.Fd()), nil
}

func (o *output) close() {
	_ = o.writer.Close()
	_ = o.reader.Close()
}

func (o *output) size() (int64, error) {
	info, err := o.reader.Stat()
	if err != nil {
		return 0, fmt.Errorf("log: %w", err)
	}
	return info.Size(), nil
}

// tail gives the last lines written since start, each valid UTF-8 and cut to maxTailLine. A log that cannot
// be read has none: the command's own outcome must not be hidden by that.
func (o *output) tail() []string {
	size, err := o.size()
	if err != nil {
		return nil
	}
	from := o.start
	if size < from {
		// The program truncated its own log ("> /dev/stderr" does that): all that is there is its own.
		from = 0
	}
	partial := size-from > tailWindow
	if partial {
		from = size - tailWindow
	}
	data := make([]byte, size-from)
	n, err := o.reader.ReadAt(data, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	text := strings.TrimSuffix(string(data[:n]), "\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	if partial && len(lines) > 1 {
		lines = lines[1:]
	}
	if len(lines) > TailLines {
		lines = lines[len(lines)-TailLines:]
	}
	for i, line := range lines {
		lines[i] = cut(clean(line), maxTailLine)
	}
	return lines
}

// clean makes a line fit for logs, JSON and XML.
func clean(line string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(strings.TrimSuffix(line, "\r"), "�"), "\x00", "�")
}

// follower tells the lines of a growing file.
type follower struct {
	out    *output
	emit   func(string)
	offset int64
	line   []byte
	long   bool
	stop   chan struct{}
	done   chan struct{}
}

// follow starts to tell lines to emit; with a nil emit it does nothing. finish must be called.
func (o *output) follow(emit func(string)) *follower {
	f := &follower{out: o, emit: emit, offset: o.start, stop: make(chan struct{}), done: make(chan struct{})}
	if emit == nil {
		close(f.done)
		return f
	}
	go func() {
		defer close(f.done)
		ticker := time.NewTicker(followInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				f.drain()
			case <-f.stop:
				f.drain()
				if len(f.line) > 0 {
					f.tell()
				}
				return
			}
		}
	}()
	return f
}

// finish tells everything written until now, the unterminated last line included, and ends.
func (f *follower) finish() {
	close(f.stop)
	<-f.done
}

// drain reads up to the file's present end: not further, for a daemon that inherited the file may write on
// for ever.
func (f *follower) drain() {
	size, err := f.out.size()
	if err != nil {
		return
	}
	if size < f.offset {
		f.offset = 0
	}
	buffer := make([]byte, 32<<10)
	for f.offset < size {
		n, err := f.out.reader.ReadAt(buffer[:min(int64(len(buffer)), size-f.offset)], f.offset)
		f.offset += int64(n)
		f.feed(buffer[:n])
		if err != nil {
			return
		}
	}
}

// feed splits data into lines; what exceeds MaxLine is dropped up to the next newline.
func (f *follower) feed(data []byte) {
	for len(data) > 0 {
		part, rest, ended := bytes.Cut(data, []byte{'\n'})
		room := MaxLine - len(f.line)
		if len(part) > room {
			part, f.long = part[:room], true
		}
		f.line = append(f.line, part...)
		if ended {
			f.tell()
		}
		data = rest
	}
}

// tell hands out the line collected so far.
func (f *follower) tell() {
	line := clean(string(f.line))
	if f.long {
		line += "…"
	}
	f.line, f.long = f.line[:0], false
	f.emit(line)
}
