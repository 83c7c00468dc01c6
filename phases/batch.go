package phases

import (
	"context"
	"sync"
)

// atOnce is how many rows run side by side: more than a cloud has projects, fewer
// than processes would take all of a machine's memory.
const atOnce = 32

// batch is the rows of one read-only phase, running side by side.
type batch struct {
	mu sync.Mutex
	// open are the projects whose rows have not come to their end.
	open map[string]bool
	// ended is told when one has.
	ended sync.Cond
}

// startTogether starts all selected rows that projects have in the phase.
func (r *Run) startTogether(ctx context.Context, phase *Phase) *batch {
	together := &batch{open: map[string]bool{}}
	together.ended.L = &together.mu
	var rows []Row
	for _, row := range r.Selection.Rows {
		if row.Phase.ID == phase.ID && row.OfProject() {
			rows = append(rows, row)
			together.open[row.Project] = true
		}
	}
	go func() {
		places := make(chan struct{}, atOnce)
		for _, row := range rows {
			places <- struct{}{}
			go func() {
				defer func() { <-places }()
				defer together.end(row.Project)
				r.settle(ctx, row)
			}()
		}
	}()
	return together
}

func (b *batch) end(project string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, project)
	b.ended.Broadcast()
}

// wait returns when the project's row has come to its end.
func (b *batch) wait(project string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.open[project] {
		b.ended.Wait()
	}
}
