package config_test

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"grenade/framework/config"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"loadconfig": loadconfig})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", "/home/somebody")
			return nil
		},
	})
}

// loadconfig is Load as a program: it looks in the working directory (and in
// the directories that are given before it), prints the settings that are not
// defaults on stdout, and mistakes on stderr with exit code 2.
// "loadconfig all" prints the defaults, too.
func loadconfig() {
	here, err := os.Getwd()
	check(err)
	relative := strings.NewReplacer(here+"/", "", here, ".")
	args, all := os.Args[1:], false
	if len(args) > 0 && args[0] == "all" {
		args, all = args[1:], true
	}
	c, err := config.Load(context.Background(), config.Sources{Environ: os.Environ(), Dirs: append(args, here)})
	if config.IsMistake(err) {
		for _, m := range config.Mistakes(err) {
			fmt.Fprintln(os.Stderr, relative.Replace(m.Error()))
		}
		os.Exit(2)
	}
	check(err)
	for _, v := range c.Values() {
		if all || v.Origin != "default" {
			fmt.Println(relative.Replace(fmt.Sprintf("%s=%s [%s]", v.Name, v.Value, v.Origin)))
		}
	}
	var names []string
	for name := range c.Extra {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Printf("extra %s=%s\n", name, c.Extra[name])
	}
	if c.Pluginrc.Path != "" {
		fmt.Println(relative.Replace("pluginrc " + c.Pluginrc.Path))
	}
	for _, p := range c.Plugins {
		how := ""
		if p.InPlace {
			how = " in place"
		}
		fmt.Println(relative.Replace(fmt.Sprintf("plugin %s %s %s in %s%s [%s]", p.Name, p.URL, p.Branch, p.Dir, how, p.Place())))
	}
	if text := c.PluginrcForScripts(); text != "" {
		fmt.Print(relative.Replace("scripts:\n" + text))
	}
	for _, side := range []config.Side{config.Base, config.Target} {
		for _, file := range c.LocalConf[side] {
			text := strings.Join(strings.Fields(file.Text), " ")
			fmt.Println(relative.Replace(fmt.Sprintf("local.conf %s %s: %s", side, file.Path, text)))
		}
	}
	for _, w := range c.Warnings {
		fmt.Println("warning: " + relative.Replace(w))
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
