package config

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
)

// ExtraPackages says where packages come from that a side prefers over its suite's archive: from a directory or from an
// apt source; from neither when both are empty.
type ExtraPackages struct {
	Setting   string // its name, for messages
	Directory string // absolute, clean; holds .deb files
	Source    AptSource
}

// AptSource is one source of packages, as sources.list(5) describes it.
type AptSource struct {
	Options    []string // like "trusted=yes"
	URI        string   // without a trailing slash
	Suite      string   // ends with a slash when the source has no components
	Components []string
}

// None says that no extra packages are wanted.
func (e ExtraPackages) None() bool { return e.Directory == "" && e.Source.URI == "" }

// String is the value of the setting.
func (e ExtraPackages) String() string {
	if e.Directory != "" {
		return e.Directory
	}
	return e.Source.String()
}

// String is a line of sources.list; "" for no source.
func (s AptSource) String() string {
	if s.URI == "" {
		return ""
	}
	words := []string{"deb"}
	if len(s.Options) > 0 {
		words = append(words, "["+strings.Join(s.Options, " ")+"]")
	}
	return strings.Join(append(words, append([]string{s.URI, s.Suite}, s.Components...)...), " ")
}

func extraPackages(name string, field func(*Config) *ExtraPackages) func(*Config, string) error {
	return func(c *Config, value string) error {
		extra := ExtraPackages{Setting: name}
		var err error
		switch {
		case value == "":
		case strings.HasPrefix(value, "/"):
			extra.Directory = filepath.Clean(value)
		case strings.HasPrefix(value, "deb ") || strings.HasPrefix(value, "deb\t"):
			extra.Source, err = parseAptSource(value)
		default:
			err = fmt.Errorf("must be the absolute path of a directory with .deb files, or an apt source (deb [options] uri suite components), not %q", value)
		}
		if err != nil {
			return err
		}
		*field(c) = extra
		return nil
	}
}

// word is what a suite or a component may look like; none of it means anything to a shell or to apt.
var word = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~:/-]*$`)

// parseAptSource reads a line that begins with "deb".
func parseAptSource(line string) (AptSource, error) {
	wrong := func(why string) (AptSource, error) {
		return AptSource{}, fmt.Errorf("is no apt source (deb [options] uri suite components): %s", why)
	}
	if strings.ContainsAny(line, "\n\r#'\"\\`$") {
		return wrong("it may be one line, without comments and quotes")
	}
	var source AptSource
	rest := strings.TrimSpace(strings.TrimPrefix(line, "deb"))
	if options, ok := strings.CutPrefix(rest, "["); ok {
		options, after, closed := strings.Cut(options, "]")
		if !closed {
			return wrong("the options have no ] at their end")
		}
		source.Options, rest = strings.Fields(options), after
		for _, option := range source.Options {
			if name, value, ok := strings.Cut(option, "="); !ok || name == "" || value == "" {
				return wrong(fmt.Sprintf("the option %q is not name=value", option))
			}
		}
	}
	words := strings.Fields(rest)
	if len(words) < 2 {
		return wrong("it needs at least a URI and a suite")
	}
	source.URI, source.Suite, source.Components = strings.TrimRight(words[0], "/"), words[1], words[2:]
	if err := checkSourceURI(words[0]); err != nil {
		return wrong(err.Error())
	}
	for _, each := range append([]string{strings.TrimPrefix(source.Suite, "./")}, source.Components...) {
		if each != "" && !word.MatchString(each) {
			return wrong(fmt.Sprintf("%q cannot be a suite or a component", each))
		}
	}
	flat := strings.HasSuffix(source.Suite, "/")
	switch {
	case flat && len(source.Components) > 0:
		return wrong("a suite that ends with / has no components")
	case !flat && len(source.Components) == 0:
		return wrong("it names no component (like main)")
	}
	return source, nil
}

func checkSourceURI(text string) error {
	uri, err := url.Parse(text)
	if err != nil {
		return errors.New("its URI cannot be read") // the error would repeat it, and it may hold a password
	}
	switch uri.Scheme {
	case "http", "https":
		if uri.Host == "" {
			return errors.New("its URI names no host")
		}
	case "file", "copy":
		if uri.Host != "" || !strings.HasPrefix(uri.Path, "/") {
			return errors.New("its URI names no absolute path")
		}
	default:
		return fmt.Errorf("the scheme of its URI must be http, https, file or copy, not %q", uri.Scheme)
	}
	return nil
}
