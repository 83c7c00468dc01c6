package native_test

import (
	"errors"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/resources"
	"grenade/resources/native"
)

func TestWithoutGuestsThatTestifyTheChecksThatNeedThemAreNone(t *testing.T) {
	g := NewWithT(t)
	checks := native.Checks(resources.Cloud{Guestless: "no such image"})
	for _, project := range []string{"nova", "cinder"} {
		var reason *resources.NotChecked
		for _, err := range []error{
			checks[project].EarlyCreate(t.Context()), checks[project].Create(t.Context()), checks[project].Verify(t.Context(), resources.PreUpgrade),
			checks[project].VerifyNoAPI(t.Context(), resources.PreUpgrade), checks[project].Destroy(t.Context()),
		} {
			g.Expect(errors.As(err, &reason)).To(BeTrue())
			g.Expect(reason.Reason).To(Equal("no such image"))
		}
	}
	g.Expect(checks["keystone"]).NotTo(BeAssignableToTypeOf(resources.Unfit{}))
	g.Expect(native.Checks(resources.Cloud{})["nova"]).NotTo(BeAssignableToTypeOf(resources.Unfit{}))
}
