package debstack

import (
	"context"
	"time"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/framework/report"
	"grenade/framework/tree"
)

// PrepareTarget waits for the target's root, makes it available in the node,
// and says how the units of the cloud's services differ.
func (c *Cloud) PrepareTarget(ctx context.Context, logFile string, onLine func(string)) (tree.UnitReport, error) {
	if err := c.awaitTarget(ctx, onLine); err != nil {
		return tree.UnitReport{}, err
	}
	began := time.Now()
	_, err := c.node.Run(ctx, node.Command{User: stackUser, Command: exec.Command{
		Args: []string{"bash", "-ec", "source ./stackrc; source lib/target; debstack_prepare_target"},
		Dir:  c.TreeDir(config.Target), Env: append(c.environ(), "DEBSTACK_LOWER="+c.targetLower()),
		Log: logFile, OnLine: onLine, Timeout: c.options.Config.ScriptTimeout,
	}})
	if err != nil {
		return tree.UnitReport{}, err
	}
	c.took("target tree", report.Script, began)
	return c.unitReport()
}

// unitReport compares the releases' units, service by service.
func (c *Cloud) unitReport() (tree.UnitReport, error) {
	var units tree.UnitReport
	for _, name := range c.saved.Services {
		service, known := c.known.Find(name)
		if !known {
			continue
		}
		if service.FromPlugin {
			units.Differences = append(units.Differences, name+": its plugin writes its units, on both sides")
			continue
		}
		difference, err := UnitDifference(c.saved.BaseRoot, c.saved.TargetRoot, service)
		if err != nil {
			return units, err
		}
		units.Differences = append(units.Differences, difference.String())
		if err := difference.Judge(); err != nil {
			units.Undeclared = append(units.Undeclared, err.Error())
		}
	}
	return units, nil
}

func (c *Cloud) awaitTarget(ctx context.Context, onLine func(string)) error {
	if c.saved.TargetRoot != "" {
		return nil
	}
	began := time.Now()
	onLine("the target's root")
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case made := <-c.target:
		if made.err != nil {
			return made.err
		}
		c.tellAge(made.root)
		c.held = append(c.held, made.root)
		if err := c.tellExtra(config.Target, made.root); err != nil {
			return err
		}
		c.saved.TargetRoot, c.saved.TargetPackages = made.root.Path, made.root.Packages
	}
	c.took("wait for the target root", report.Roots, began)
	return c.saved.write(c.options.Config.SaveDir)
}
