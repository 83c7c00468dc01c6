package plugins

import "strings"

// dropped finds out where projects went that settings have not left in
// UPGRADE_PROJECTS.
type dropped struct {
	files    map[string]bool
	projects []*droppedProject
	// list is UPGRADE_PROJECTS before the last command, place the last of the
	// settings' own lines.
	list, place string
}

// droppedProject is a planned project that is not in the list in the end.
type droppedProject struct {
	name string
	// at is where that was decided: where it would have been registered, or the line
	// after which the list no longer held it.
	at    string
	holds bool
}

// newDropped is for those of the plugins that settings did not leave in the list,
// going by what load-settings wrote down.
func newDropped(plugins []Plugin, files []string, records [][]string) *dropped {
	d := &dropped{files: map[string]bool{}}
	for _, file := range files {
		d.files[file] = true
	}
	left := map[string]bool{}
	for _, record := range records {
		if record[0] == "project" {
			left[record[1]] = true
		}
	}
	for _, plugin := range plugins {
		if !left[plugin.Project] {
			d.projects = append(d.projects, &droppedProject{name: plugin.Project, at: plugin.Place()})
		}
	}
	return d
}

// see takes the next command that settings ran, with the list as it was before.
func (d *dropped) see(command traced) {
	if command.projects != d.list {
		d.list = strings.Clone(command.projects)
		words := " " + strings.Join(strings.Fields(strings.Trim(d.list, `$'`)), " ") + " "
		for _, project := range d.projects {
			holds := strings.Contains(words, " "+project.name+" ")
			if project.holds && !holds && d.place != "" {
				project.at = d.place
			}
			project.holds = holds
		}
	}
	if d.files[command.file] {
		d.place = command.place()
	}
}

// places says, when all commands have been seen, where each project went, as
// file:line.
func (d *dropped) places() map[string]string {
	places := map[string]string{}
	for _, project := range d.projects {
		places[project.name] = project.at
		if project.holds { // until the end: the last line took it out
			places[project.name] = d.place
		}
	}
	return places
}
