package exec

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// defaultPath is what a program is looked up in when the environment has no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// lookPath finds the program as the child would: in the PATH of the child's environment, not in ours.
func lookPath(name, dir string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		full := name
		if dir != "" && !filepath.IsAbs(name) {
			full = filepath.Join(dir, name)
		}
		if err := executable(full); err != nil {
			return "", fmt.Errorf("program %s: %w", full, err)
		}
		return name, nil
	}
	path := defaultPath
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			path = value
		}
	}
	var denied error
	for _, place := range filepath.SplitList(path) {
		// An empty or relative entry would mean "wherever we happen to be".
		if !filepath.IsAbs(place) {
			continue
		}
		full := filepath.Join(place, name)
		switch err := executable(full); {
		case err == nil:
			return full, nil
		case !errors.Is(err, fs.ErrNotExist) && denied == nil:
			denied = fmt.Errorf("program %s: %w", full, err)
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", fmt.Errorf("program %q not found in PATH=%s: %w", name, path, fs.ErrNotExist)
}

// executable says why a file cannot be executed by this process.
func executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("not found: %w", fs.ErrNotExist)
	case err != nil:
		return fmt.Errorf("cannot be looked at: %w", err)
	case info.IsDir():
		return errors.New("is a directory")
	}
	if err := unix.Access(path, unix.X_OK); err != nil {
		return fmt.Errorf("mode %s: not executable: %w", info.Mode().Perm(), fs.ErrPermission)
	}
	return nil
}

// busyWithin bounds how long a program may be busy.
const busyWithin = 5 * time.Second

// start starts the command. A program that was written a moment ago may be busy: a process that was forked
// meanwhile holds it open until it has become a program of its own (golang.org/issue/22315). That is waited for,
// and nobody tells when it is over.
func start(ctx context.Context, c Command, stdout, stderr *os.File) (*osexec.Cmd, error) {
	for end := time.Now().Add(busyWithin); ; {
		cmd, err := prepare(c, stdout, stderr)
		if err != nil {
			return nil, err
		}
		err = cmd.Start()
		if stdin, ok := cmd.Stdin.(*os.File); ok {
			_ = stdin.Close() // the child has its own
		}
		if err == nil {
			return cmd, nil
		}
		if !errors.Is(err, syscall.ETXTBSY) || time.Now().After(end) || ctx.Err() != nil {
			return nil, explainStart(c, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// explainStart turns what the kernel says on execve into the sentence that names the culprit: it reports a
// missing directory, and a missing interpreter of a script, as if the program did not exist.
func explainStart(c Command, err error) error {
	if c.Dir != "" {
		if info, statErr := os.Stat(c.Dir); statErr != nil {
			return fmt.Errorf("working directory: %w", statErr)
		} else if !info.IsDir() {
			return fmt.Errorf("working directory %s: not a directory", c.Dir)
		}
	}
	switch {
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("the interpreter named in its first line is missing: %w", err)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("neither a program nor a script with a #! line: %w", err)
	}
	return err
}

// memoryFile gives the data as a file that is on no disk, positioned at its start. A file, not a pipe: a
// program that does not read its input blocks nothing.
func memoryFile(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("stdin", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memory file for the input: %w", err)
	}
	file := os.NewFile(uintptr(fd), "stdin")
	if _, err := file.Write(data); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("memory file for the input: %w", err)
	}
	if _, err := file.Seek(0, 0); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("memory file for the input: %w", err)
	}
	return file, nil
}
