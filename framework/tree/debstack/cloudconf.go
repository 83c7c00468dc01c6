package debstack

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/framework/tree"
)

// Compose writes the side's local.conf into its tree.
func (c *Cloud) Compose(ctx context.Context, side config.Side, lines []tree.LocalrcLine) error {
	text, overruled, err := composeLocalConf(c.localrc(side), c.options.Config.LocalConf[side], lines)
	if err != nil {
		return err
	}
	for _, sentence := range overruled {
		c.options.Note(sentence)
	}
	_, err = c.node.Run(ctx, node.Command{User: stackUser, Command: exec.Command{
		Args: []string{"sh", "-c", "umask 077; cat >local.conf"}, Dir: c.TreeDir(side), Stdin: []byte(text),
	}})
	if err != nil {
		return fmt.Errorf("write local.conf: %w", err)
	}
	return nil
}

// localrc is what a side's tree is told.
func (c *Cloud) localrc(side config.Side) []Setting {
	settings := c.options.Config
	release, root := settings.Base, ""
	upper, work := c.targetLayer()
	if side == config.Target {
		release, root = settings.Target, c.Root(config.Target)
	}
	local := []Setting{
		{"STACK_ROOT", settings.StackRoot},
		{"DEST", filepath.Dir(c.TreeDir(side))},
		{"HOST_IP", c.node.Address()},
		{"SERVICE_HOST", c.node.Address()},
		{"REGION_NAME", region},
		{"FLOATING_RANGE", settings.FloatingRange.String()},
		{"GUEST_DIR", guestDir(settings)},
		{"DEFAULT_IMAGE_NAME", guestImage},
		{"ENABLED_SERVICES", strings.Join(c.Enabled(), ",")},
		{"DEBSTACK_SIDE", string(side)},
		{"DEBSTACK_RELEASE", release.Name},
		{"DEBSTACK_ROOT", root},
		{"DEBSTACK_SKIP_RELEASE", pythonBool(settings.SkipRelease)},
	}
	if side == config.Target {
		// DEBSTACK_LOWER is only known when the target's root is there.
		local = append(local, Setting{"DEBSTACK_UPPER", upper}, Setting{"DEBSTACK_WORK", work})
	}
	return append(local, c.saved.passwords.Settings()...)
}

// pythonBool is how DevStack's shell writes it.
func pythonBool(value bool) string {
	if value {
		return "True"
	}
	return "False"
}
