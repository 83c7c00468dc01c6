// Package external is a cloud of somebody else's: it has no tree and no node of ours. Its APIs are found through clouds.yaml
// (or an openrc), and the operator's own commands stop and upgrade its services and say which version runs.
package external
