package report

import "slices"

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
	r.Rows = slices.Clone(r.Rows)
	for i := range r.Rows {
		r.Rows[i] = r.Rows[i].Redacted(r.Redact)
	}
	r.Notes = slices.Clone(r.Notes)
	for i := range r.Notes {
		r.Notes[i] = r.Redact(r.Notes[i])
	}
	r.Plugins = slices.Clone(r.Plugins)
	for i := range r.Plugins {
		r.Plugins[i].URL, r.Plugins[i].Subject = r.Redact(r.Plugins[i].URL), r.Redact(r.Plugins[i].Subject)
	}
	r.Timings = slices.Clone(r.Timings)
	for i := range r.Timings {
		r.Timings[i] = r.Timings[i].redacted(r.Redact)
	}
	r.Evidence = slices.Clone(r.Evidence)
	for i := range r.Evidence {
		r.Evidence[i].Reason = r.Redact(r.Evidence[i].Reason)
	}
	return r
}
