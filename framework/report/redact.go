package report

import (
	"iter"
	"slices"
)

// redacted is the timing with clean applied to its name.
func (t Timing) redacted(clean func(string) string) Timing {
	t.Name = clean(t.Name)
	return t
}

// Redacted is the row with clean applied to every text that comes from outside.
func (r Row) Redacted(clean func(string) string) Row {
	r.Reason = clean(r.Reason)
	if r.Failure != nil {
		f := *r.Failure
		f.Message, f.Expected, f.Seen = clean(f.Message), clean(f.Expected), clean(f.Seen)
		f.Tail = slices.Clone(f.Tail)
		for i := range f.Tail {
			f.Tail[i] = clean(f.Tail[i])
		}
		r.Failure = &f
	}
	r.Tests = slices.Clone(r.Tests)
	for i := range r.Tests {
		r.Tests[i].Name, r.Tests[i].Message = clean(r.Tests[i].Name), clean(r.Tests[i].Message)
	}
	return r
}

// redacted applies r.Redact before anything is cut or escaped: half a secret, or
// one in other clothes, would not be recognised.
func (r Report) redacted() Report {
	if r.Redact == nil {
		return r
	}
	if r.Setup != nil {
		setup := r.Setup.Redacted(r.Redact)
		r.Setup = &setup
	}
	r.Rows = mapped(r.Rows, func(row Row) Row { return row.Redacted(r.Redact) })
	r.Notes = slices.Clone(r.Notes)
	for i := range r.Notes {
		r.Notes[i] = r.Redact(r.Notes[i])
	}
	r.Plugins = slices.Clone(r.Plugins)
	for i := range r.Plugins {
		r.Plugins[i].URL, r.Plugins[i].Subject = r.Redact(r.Plugins[i].URL), r.Redact(r.Plugins[i].Subject)
	}
	r.Timings = mapped(r.Timings, func(timing Timing) Timing { return timing.redacted(r.Redact) })
	r.Evidence = slices.Clone(r.Evidence)
	for i := range r.Evidence {
		r.Evidence[i].Reason = r.Redact(r.Evidence[i].Reason)
	}
	return r
}

// mapped goes through what change makes of each.
func mapped[T any](all iter.Seq[T], change func(T) T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for one := range orNone(all) {
			if !yield(change(one)) {
				return
			}
		}
	}
}

// orNone goes through all, or through nothing where that is nil.
func orNone[T any](all iter.Seq[T]) iter.Seq[T] {
	if all == nil {
		return func(func(T) bool) {}
	}
	return all
}
