package debstack

import (
	"slices"
	"strings"

	"grenade/framework/tree"
)

// Tree is the service at a release in the words that every kind of tree shares. has says which units that release's
// packages ship; nil: that is not known, and only the units that every release has are listed.
func (s Service) Tree(release string, has map[string]Unit) tree.Service {
	units := append(slices.Clone(s.Units), sortedKeys(s.UnitsOwn, strings.Compare)...)
	for _, unit := range sortedKeys(s.UnitsAdded, strings.Compare) {
		if _, ok := has[unit]; ok && !slices.Contains(units, unit) {
			units = append(units, unit)
		}
	}
	if has != nil {
		units = slices.DeleteFunc(units, func(unit string) bool {
			_, ok := has[unit]
			return !ok && s.UnitsRemoved[unit] != ""
		})
	}
	return tree.Service{
		Name: s.Name, Requires: s.Requires, Enabled: s.Services, Units: units, Helpers: s.Helpers,
		Packages: s.PackagesAt(release), Port: s.Port, Health: s.Health, Config: s.Config, Leaves: s.Leaves,
	}
}

// List is the difference in the words that every kind of tree shares, unit by unit. A start command that changed needs
// no declaration: the target's is the one that is used.
func (d Difference) List() []tree.UnitDifference {
	var all []tree.UnitDifference
	add := func(unit, change, reason string) {
		all = append(all, tree.UnitDifference{
			Service: d.Service.Name, Unit: unit, Change: change, Reason: reason,
			Base: strings.Join(d.Base[unit].ExecStart, "; "), Target: strings.Join(d.Target[unit].ExecStart, "; "),
		})
	}
	for _, unit := range d.Added {
		add(unit, "added", d.Service.UnitsAdded[unit])
	}
	for _, unit := range d.Removed {
		add(unit, "removed", d.Service.UnitsRemoved[unit])
	}
	for _, unit := range d.Changed {
		add(unit, "ExecStart", "the target's command is used")
	}
	for _, unit := range d.Rescripted {
		add(unit, "script behind ExecStart", "the target's script is used")
	}
	return all
}
