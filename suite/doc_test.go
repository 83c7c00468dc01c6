// Package suite_test is Grenade itself: the ordered Ginkgo suite that upgrades
// a cloud. upgrade_test.go is the calling sequence; the other files prepare it
// and tell its results. This is the only package that asserts.
package suite_test
