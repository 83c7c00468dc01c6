// Package tinytree gives tests a repository of DevStack-shaped trees that install next to nothing: two services, alpha and
// beta, each a program that waits. The trees are ours; they have DevStack's files and function names as far as a run
// needs them.
package tinytree

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"grenade/framework/exec"
)

//go:embed all:testdata/tree
var files embed.FS

// Branches are those of the repository, each with a commit of its own.
func Branches() []string { return []string{"stable/2025.1", "stable/2025.2"} }

// Repository makes the repository openstack/devstack below dir, which is then a GIT_BASE.
func Repository(ctx context.Context, dir string) error {
	repository := filepath.Join(dir, "openstack", "devstack")
	if err := Write(repository); err != nil {
		return err
	}
	if err := git(ctx, repository, "init", "--quiet", "--initial-branch=master"); err != nil {
		return err
	}
	for _, branch := range Branches() {
		if err := git(ctx, repository, "checkout", "--quiet", "-B", branch); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(repository, "RELEASE"), []byte(strings.TrimPrefix(branch, "stable/")+"\n"), 0o644); err != nil {
			return fmt.Errorf("tiny tree: %w", err)
		}
		for _, args := range [][]string{{"add", "--all"}, {"commit", "--quiet", "--message=tree of " + branch}} {
			if err := git(ctx, repository, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// Write writes one tree into dir. Its programs can be run.
func Write(dir string) error {
	tree, err := fs.Sub(files, "testdata/tree")
	if err != nil {
		return fmt.Errorf("tiny tree: %w", err)
	}
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return write(tree, name, filepath.Join(dir, name))
	})
	if err != nil {
		return fmt.Errorf("tiny tree: %w", err)
	}
	return nil
}

func write(tree fs.FS, name, path string) error {
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		return fmt.Errorf("embedded file: %w", err)
	}
	mode := fs.FileMode(0o644)
	if strings.HasSuffix(name, ".sh") {
		mode = 0o755
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	if err := os.WriteFile(path, text, mode); err != nil {
		return fmt.Errorf("file: %w", err)
	}
	return nil
}

// git runs git with an identity, and without anybody's configuration.
func git(ctx context.Context, dir string, args ...string) error {
	_, err := exec.Output(ctx, exec.Command{
		Args: append([]string{"git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "safe.directory=*"}, args...),
		Dir:  dir, Env: append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1"),
	})
	return err
}
