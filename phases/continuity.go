package phases

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"grenade/framework/probe"
)

// A check that has made something which must answer all the time, from outside
// the cloud and whatever happens to the control plane, saves its IPv4 address
// in the store under a key that begins so, in the section of its project:
// resource_save nova witness_guest 172.24.4.17.
const witnessKey = "witness"

const (
	// witnessEvery is the pace of the pings.
	witnessEvery = 200 * time.Millisecond
	// maxGap is how long a witness may be silent. A single ping, lost on a
	// machine that is busy, proves nothing; what a person would notice does.
	maxGap = time.Second
)

// witness is one address under watch.
type witness struct {
	what string
	echo *probe.Echo
}

// watchWitnesses begins to ping what the selected projects' checks have named,
// as far as that has not begun.
func (r *Run) watchWitnesses(ctx context.Context) error {
	for _, project := range r.Selection.Projects {
		if _, watched := r.witnesses[project]; watched {
			continue
		}
		var named []witness
		for _, section := range []string{project, "native-" + project} {
			saved, err := r.store(project).Section(section)
			if err != nil {
				return fmt.Errorf("witnesses of %s: %w", project, err)
			}
			for _, key := range slices.Sorted(maps.Keys(saved)) {
				if !strings.HasPrefix(key, witnessKey) {
					continue
				}
				echo, err := probe.WatchEcho(ctx, saved[key], witnessEvery)
				if err != nil {
					return fmt.Errorf("[%s] %s of the store: %w", section, key, err)
				}
				named = append(named, witness{what: "[" + section + "] " + key, echo: echo})
			}
		}
		r.witnesses[project] = named
	}
	return nil
}

// hearWitnesses ends the watch over the project's witnesses, and holds when
// none of them was silent for long. What they saw is in the report either way.
func (r *Run) hearWitnesses(project string) error {
	r.mu.Lock()
	named := r.witnesses[project]
	r.witnesses[project] = nil
	r.mu.Unlock()
	var failures []error
	for _, each := range named {
		seen, err := each.echo.Stop()
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", each.what, err))
			continue
		}
		r.mu.Lock()
		r.continuity = append(r.continuity, heard{Project: project, What: each.what, Continuity: seen})
		r.mu.Unlock()
		r.Note("%s: %s: %s", project, each.what, seen)
		if seen.Longest() >= maxGap || seen.Lost == seen.Sent {
			failures = append(failures, &Unmet{
				What: fmt.Sprintf("%s (%s) was out of reach while the control plane was down", each.what, seen.Address),
				Want: fmt.Sprintf("an answer to every ping, or no silence of %s and more", maxGap),
				Saw:  seen.String(),
			})
		}
	}
	return errors.Join(failures...)
}

// heard is what was seen of one witness.
type heard struct {
	Project, What string
	probe.Continuity
}
