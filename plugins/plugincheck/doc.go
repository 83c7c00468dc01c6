// Package plugincheck is the room of what can be said of a plugin without running
// it, to its author.
//
// It finds plugins below a path (Locate), reads their scripts as bash does, and
// says what no run would, or only after an hour: phases that check nothing, exit
// codes that get lost, loops that never end, commands that nobody defines, names and
// keys that collide (Check). It is a reader, not a proof: where a script computes
// what it does, it stays silent.
package plugincheck
