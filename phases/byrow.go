package phases

// byRow holds something for each row: by project, and there by the phase's place in the
// sequence. A thousand plugins have twelve thousand rows, and a map of keys would take
// several times as much memory for them. What is not there is T's zero value.
type byRow[T any] map[string][]T

// of is what there is for the row.
func (b byRow[T]) of(row Key) (what T) {
	if place, there := position(row.Phase), b[row.Project]; there != nil && place >= 0 {
		what = there[place]
	}
	return what
}

// put is what there is from now on. A row of no phase has nothing.
func (b byRow[T]) put(row Key, what T) {
	place := position(row.Phase)
	if place < 0 {
		return
	}
	if b[row.Project] == nil {
		b[row.Project] = make([]T, phaseCount)
	}
	b[row.Project][place] = what
}
