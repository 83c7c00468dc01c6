package debstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"grenade/framework/exec"
)

// debFile is one package of a directory.
type debFile struct {
	path                        string
	control                     string // what it says about itself (deb-control(5))
	name, version, architecture string
	size                        int64
	sha256                      string
}

// readExtraDirectory reads all .deb files that are directly in the directory.
func readExtraDirectory(ctx context.Context, dir string) (*Extra, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("directory of packages: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is no directory", dir)
	}
	paths, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.deb"))
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s holds no .deb file (directories in it are not looked into)", dir)
	}
	extra := &Extra{versions: map[string][]string{}, pin: "release o=" + extraOrigin}
	var mistakes []string
	var sums []string
	for _, path := range paths {
		deb, err := readDeb(ctx, path)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("read %s: %w", path, ctx.Err())
		}
		if err != nil {
			mistakes = append(mistakes, fmt.Sprintf("%s: %v", path, err))
			continue
		}
		extra.debs = append(extra.debs, deb)
		extra.versions[deb.name] = append(extra.versions[deb.name], deb.version)
		sums = append(sums, deb.name+" "+deb.version+" "+deb.sha256)
	}
	if len(mistakes) > 0 {
		return nil, errors.New(strings.Join(mistakes, "; "))
	}
	slices.Sort(sums) // a file's name does not matter
	extra.digest = sumOf(strings.Join(sums, "\n"))
	return extra, nil
}

// escapeGlob makes a pattern that means the path itself.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// readDeb reads one package; dpkg-deb, which mmdebstrap needs as well, says what it is.
func readDeb(ctx context.Context, path string) (debFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return debFile{}, fmt.Errorf("package: %w", err)
	}
	defer file.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, file)
	if err != nil {
		return debFile{}, fmt.Errorf("package: %w", err)
	}
	deb := debFile{path: path, size: size, sha256: hex.EncodeToString(sum.Sum(nil))}
	control, err := exec.Output(ctx, exec.Command{Args: []string{"dpkg-deb", "--field", path}, Env: buildEnv(), Timeout: time.Minute})
	if err != nil {
		failed := new(exec.Error)
		if errors.As(err, &failed) && len(failed.Tail) > 0 {
			err = errors.New(failed.Tail[len(failed.Tail)-1])
		}
		return debFile{}, fmt.Errorf("it cannot be read: %w", err)
	}
	deb.control = strings.TrimSpace(string(control))
	for line := range strings.Lines(deb.control) {
		field, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch field {
		case "Package":
			deb.name = value
		case "Version":
			deb.version = value
		case "Architecture":
			deb.architecture = value
		}
	}
	if deb.name == "" || deb.version == "" {
		return debFile{}, errors.New("it says neither its name nor its version")
	}
	if ours := debianArchitecture(); deb.architecture != ours && deb.architecture != "all" {
		return debFile{}, fmt.Errorf("it is for the architecture %s, not for %s", deb.architecture, ours)
	}
	return deb, nil
}

// extraOrigin is how apt knows the repository that is made of a directory.
const extraOrigin = "grenade-extra"

// writeRepository makes a directory that apt can use as a source, without a signature, from the packages (Debian
// repository format, "flat").
func (e *Extra) writeRepository(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("repository: %w", err)
	}
	var index strings.Builder
	for number, deb := range e.debs {
		name := fmt.Sprintf("%04d.deb", number) // a file's own name may hold anything
		if err := copyFile(deb.path, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("repository: %w", err)
		}
		// apt compares the checksum: a file that was changed since it was read is refused.
		fmt.Fprintf(&index, "%s\nFilename: ./%s\nSize: %d\nSHA256: %s\n\n", deb.control, name, deb.size, deb.sha256)
	}
	release := fmt.Sprintf("Origin: %s\nLabel: %s\nDate: Thu, 01 Jan 1970 00:00:00 UTC\nSHA256:\n %s %d Packages\n",
		extraOrigin, extraOrigin, sumOf(index.String()), index.Len())
	for name, text := range map[string]string{"Packages": index.String(), "Release": release} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("repository: %w", err)
		}
	}
	return nil
}
