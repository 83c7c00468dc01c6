package devstack

import (
	"embed"
	"fmt"
	"strings"
)

// scripts run in the node. They go in through stdin: no name of a project is to be seen in a command line, where a
// plugin's "ps | grep" would take it for a service.
//
//go:embed node
var scripts embed.FS

func script(name string) ([]byte, error) {
	text, err := scripts.ReadFile("node/" + name)
	if err != nil {
		return nil, fmt.Errorf("script %s: %w", name, err)
	}
	return text, nil
}

// fields splits what a script says into lines, and these at tabs.
func fields(text string) [][]string {
	var all [][]string
	for line := range strings.Lines(text) {
		all = append(all, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return all
}
