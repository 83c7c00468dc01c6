package config

import (
	"context"
	"path/filepath"
	"strings"
)

// Upstream's names of what a user adds to the trees' local.conf.
const (
	sideLocalConf   = "devstack.local.conf." // and the side
	commonLocalConf = "devstack.local.conf"
	commonLocalrc   = "devstack.localrc"
)

// findLocalConf reads the user's files for each side's local.conf. As upstream
// does, it passes over devstack.localrc when there is a devstack.local.conf.
func findLocalConf(dirs []string, wrong []error) (map[Side][]File, []error) {
	var common File
	for _, name := range []string{commonLocalConf, commonLocalrc} {
		if common.Path == "" {
			common, wrong = find(dirs, name, wrong)
		}
	}
	found := map[Side][]File{}
	for _, side := range []Side{Base, Target} {
		var own File
		own, wrong = find(dirs, sideLocalConf+string(side), wrong)
		for _, file := range []File{own, common} {
			if file.Path != "" {
				found[side] = append(found[side], file)
			}
		}
	}
	return found, wrong
}

// fillLocalConf puts directories in place of upstream's placeholders, which are
// in the files of one side only.
func (c *Config) fillLocalConf() {
	places := strings.NewReplacer(
		"@BASE_RELEASE_DIR@", filepath.Join(c.StackRoot, "old"),
		"@TARGET_RELEASE_DIR@", filepath.Join(c.StackRoot, "new"),
		"@DATA_DIR@", filepath.Join(c.StackRoot, "data"))
	for side, files := range c.LocalConf {
		for i, file := range files {
			if filepath.Base(file.Path) == sideLocalConf+string(side) {
				files[i].Text = places.Replace(file.Text)
			}
		}
	}
}

// IsLocalrc tells whether the file is a localrc: all of it is shell.
func (f File) IsLocalrc() bool { return strings.HasSuffix(f.Path, "localrc") }

// CheckSyntax has bash read the file without running it. The error is a *Mistake
// when bash cannot, anything else when bash could not be asked.
func CheckSyntax(ctx context.Context, file File) error {
	mistake, err := checkSyntax(ctx, file)
	if mistake != nil {
		return mistake
	}
	return err
}
