package devstack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/report"
	"grenade/framework/tree"
)

// Stack runs the base tree's stack.sh, which has as long as the whole run: DevStack takes half an hour where a plugin's
// script takes minutes. On an external DevStack that was done by somebody else. Either way it then looks what runs: what
// was not seen at base cannot be compared with what runs after the upgrade. A stack.sh that fails is no verdict on the upgrade:
// its error belongs to ErrEnvironment.
func (c *Cloud) Stack(ctx context.Context, logFile string, onLine func(string)) error {
	base := c.TreeDir(config.Base)
	if !c.options.Config.External {
		if _, err := c.ask(ctx, false, logFile, "images-in.sh", c.options.Config.StackRoot, base); err != nil {
			return tree.Environment(fmt.Errorf("images for the %s tree: %w", config.Base, err))
		}
		c.saved.Stacked = true
		if err := c.save(); err != nil {
			return err
		}
		began := time.Now()
		command := c.command("./stack.sh")
		command.Dir, command.Log, command.OnLine = base, logFile, onLine
		_, err := c.node.Run(ctx, command)
		c.took("stack.sh", report.StackSh, began)
		if err != nil {
			c.tellLastWords(ctx, err)
			return tree.Environment(fmt.Errorf("%s/stack.sh (%s, %s): %w", base, settingOf(config.Base), release(c.options.Config, config.Base).Branch, err))
		}
	}
	onLine("what runs after stack.sh")
	if _, err := c.ask(ctx, false, logFile, "images-out.sh", base, releaseDir(c.options.Config, config.Base)); err != nil {
		return tree.Environment(fmt.Errorf("cache of images: %w", err))
	}
	if err := c.meet(ctx, logFile); err != nil {
		return err
	}
	if err := c.look(ctx, config.Base); err != nil {
		return tree.Environment(err)
	}
	return c.save()
}

// tellLastWords puts into the error what stack.sh said last. It has come through a filter of DevStack's, which is not done when stack.sh
// is, and so seldom been seen.
func (c *Cloud) tellLastWords(ctx context.Context, err error) {
	var failed *exec.Error
	if !errors.As(err, &failed) {
		return
	}
	lines, askErr := c.ask(context.WithoutCancel(ctx), true, "", "last-words.sh", c.logFile(config.Base))
	if askErr != nil || len(lines) == 0 {
		return // then without
	}
	failed.Tail = nil
	for _, line := range lines {
		failed.Tail = append(failed.Tail, strings.Join(line, "\t"))
	}
}

// meet asks the base tree how the administrator gets in, and the cloud where its services are. A cloud without a catalog
// is no error here: what follows from it is said in the rows.
func (c *Cloud) meet(ctx context.Context, logFile string) error {
	lines, err := c.ask(ctx, false, logFile, "access.sh", c.TreeDir(config.Base))
	if err != nil {
		return tree.Environment(fmt.Errorf("openrc of the %s tree: %w", config.Base, err))
	}
	said := map[string]string{}
	for _, line := range lines {
		if len(line) == 2 {
			said[line[0]] = line[1]
		}
	}
	c.saved.Access = tree.Access{
		AuthURL: versioned(said["OS_AUTH_URL"]), Region: said["OS_REGION_NAME"],
		Username: said["OS_USERNAME"], Password: said["OS_PASSWORD"], Project: said["OS_PROJECT_NAME"],
	}
	c.options.Secrets.Add(c.saved.Access.Password)
	c.saved.Endpoints, err = catalog(ctx, c.saved.Access)
	c.saved.Uncatalogued = ""
	if err != nil {
		c.saved.Uncatalogued = err.Error()
		c.options.Note("where the services' APIs are is not known: " + err.Error())
	}
	return nil
}

// PrepareTarget makes the target's tree ready for upgrade.sh. The first thing that fails ends it.
func (c *Cloud) PrepareTarget(ctx context.Context, logFile string, onLine func(string)) (tree.UnitReport, error) {
	began := time.Now()
	text, err := script("prepare-target.sh")
	if err != nil {
		return tree.UnitReport{}, err
	}
	settings := c.options.Config
	command := c.command("bash", "-s", "--", c.TreeDir(config.Base), c.TreeDir(config.Target), releaseDir(settings, config.Base))
	command.Command = exec.Command{Args: command.Args, Env: command.Env, Stdin: text, Dir: c.TreeDir(config.Target), Log: logFile, OnLine: onLine}
	if _, err := c.node.Run(ctx, command); err != nil {
		return tree.UnitReport{}, fmt.Errorf("%s at %s: %w", c.TreeDir(config.Target), settings.Target.Branch, err)
	}
	c.took("target tree", report.Script, began)
	c.saved.Prepared = true
	if err := c.look(ctx, config.Target); err != nil {
		return tree.UnitReport{}, err
	}
	return tree.UnitReport{}, c.save()
}
