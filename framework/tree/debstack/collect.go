package debstack

import (
	"maps"
	"slices"
)

// unique returns the elements of list in order, each once.
func unique[T comparable](list []T) []T {
	seen := make(map[T]bool, len(list))
	var found []T
	for _, element := range list {
		if !seen[element] {
			seen[element] = true
			found = append(found, element)
		}
	}
	return found
}

func sortedKeys[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(m), compare)
}
