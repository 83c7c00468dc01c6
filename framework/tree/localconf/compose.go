package localconf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"grenade/framework/config"
	"grenade/framework/tree"
)

// Input is what the local.conf of a tree is made of. Later fields are put over
// earlier ones.
type Input struct {
	// Defaults is what the harness sets, as upstream's devstack.local.conf.base
	// and .target do.
	Defaults *Conf
	// Original is what the tree came with; Original reads it. Nil: nothing.
	Original *Conf
	// User are the user's own files, local.confs or localrcs.
	User []config.File
	// Added is what plugins' settings add to the localrc, in their order.
	Added []tree.LocalrcLine
}

// Compose makes the file as upstream does: the parts of the inputs merged, then
// below a comment that names its settings file each text that a plugin adds, at
// the end of the localrc part. The error joins one config.Mistake for each text
// in which DevStack would take a line for a heading.
func Compose(in Input) (*Conf, error) {
	composed := Parse(in.Defaults.String())
	if in.Original != nil {
		composed.Merge(in.Original)
	}
	var mistakes []error
	for _, file := range in.User {
		if wrong := misread(file); wrong != nil {
			mistakes = append(mistakes, wrong)
		}
		composed.Merge(read(file))
	}
	for _, line := range in.Added {
		if wrong := Parse(line.Text).Misread(); wrong != nil {
			mistakes = append(mistakes, &config.Mistake{File: line.SettingsFile, Line: line.Line, Message: wrong.Error()})
		}
		composed.AddLocalrc("# added by " + line.SettingsFile)
		composed.AddLocalrc(line.Text)
	}
	return composed, errors.Join(mistakes...)
}

// Check looks for what is wrong with the user's files before there is a tree: a
// localrc that bash cannot read, lines that DevStack takes for headings. The
// error joins one config.Mistake per case.
func Check(ctx context.Context, files []config.File) error {
	var mistakes []error
	for _, file := range files {
		if wrong := misread(file); wrong != nil {
			mistakes = append(mistakes, wrong)
		}
		if !file.IsLocalrc() {
			file.Text = Parse(file.Text).shell()
		}
		mistakes = append(mistakes, config.CheckSyntax(ctx, file))
	}
	return errors.Join(mistakes...)
}

func read(file config.File) *Conf {
	if file.IsLocalrc() {
		return FromLocalrc(file.Text)
	}
	return Parse(file.Text)
}

func misread(file config.File) error {
	wrong := Parse(file.Text).Misread()
	if wrong == nil {
		return nil
	}
	return &config.Mistake{File: file.Path, Line: wrong.Line, Message: wrong.Error()}
}

// Original reads what a tree on this machine came with: its local.conf.orig, or
// in its place its localrc, and over it its local.conf. Upstream moves the two
// into local.conf.orig, because it writes a local.conf of its own; keeping them
// is up to the caller. A tree with none of the three gives an empty file.
func Original(treeDir string) (*Conf, error) {
	original := &Conf{}
	for _, name := range []string{"local.conf.orig", "localrc", "local.conf"} {
		text, err := os.ReadFile(filepath.Join(treeDir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("configuration that the tree came with: %w", err)
		}
		switch name {
		case "localrc":
			original = FromLocalrc(string(text))
		case "local.conf":
			original.Merge(Parse(string(text)))
		default:
			original = Parse(string(text))
		}
	}
	return original, nil
}
