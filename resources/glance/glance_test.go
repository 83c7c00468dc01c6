package glance

import (
	"testing"

	. "github.com/onsi/gomega"

	"grenade/resources"
)

func TestDefaultStoreIsFoundAsGlanceFindsIt(t *testing.T) {
	for name, c := range map[string]struct {
		config    resources.Config
		kind, dir string
	}{
		"nothing set": {resources.Config{}, "file", "/var/lib/glance/images/"},
		"one store, as before Rocky": {resources.Config{
			"glance_store": {"filesystem_store_datadir": "/data"},
		}, "file", "/data"},
		"another single store": {resources.Config{"glance_store": {"default_store": "rbd"}}, "rbd", "/var/lib/glance/images/"},
		"several backends": {resources.Config{
			"DEFAULT":      {"enabled_backends": "fast:rbd, cheap:file"},
			"glance_store": {"default_backend": "cheap", "filesystem_store_datadir": "/not/this"},
			"cheap":        {"filesystem_store_datadir": "/this"},
		}, "file", "/this"},
		"several backends, not files": {resources.Config{
			"DEFAULT":      {"enabled_backends": "fast:rbd, cheap:file"},
			"glance_store": {"default_backend": "fast"},
		}, "rbd", "/var/lib/glance/images/"},
	} {
		t.Run(name, func(t *testing.T) {
			kind, dir := defaultStore(c.config)
			NewWithT(t).Expect([]string{kind, dir}).To(Equal([]string{c.kind, c.dir}))
		})
	}
}
