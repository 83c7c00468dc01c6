package keystone

import (
	"context"
	"errors"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/node"
	"grenade/resources"
	"grenade/resources/keystone/fakekeystone"
)

func newFake(t *testing.T) *fakekeystone.Server {
	t.Helper()
	fake := fakekeystone.New(fakekeystone.Options{})
	t.Cleanup(fake.Close)
	return fake
}

func cloudAt(t *testing.T, fake *fakekeystone.Server) resources.Cloud {
	t.Helper()
	return resources.Cloud{
		AuthURL: fake.URL + "/v3", Tag: "unit", Store: &resources.Store{Dir: t.TempDir()},
		Admin: resources.Credentials{Username: "admin", Password: "x", Project: "admin"},
	}
}

func TestCreateVerifyDestroyLeavesNothing(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	fake := newFake(t)
	check := New(cloudAt(t, fake))
	g.Expect(check.Create(ctx)).To(Succeed())
	g.Expect(fake.Left()).NotTo(BeEmpty())
	before := len(fake.Left())
	g.Expect(check.Verify(ctx, resources.PreUpgrade)).To(Succeed())
	g.Expect(check.Verify(ctx, resources.PostUpgrade)).To(Succeed())
	g.Expect(fake.Left()).To(HaveLen(before), "verify leaves nothing of its own")
	g.Expect(check.Create(ctx)).To(Succeed())
	g.Expect(fake.Left()).To(HaveLen(before), "create replaces what an earlier one made")
	g.Expect(check.Destroy(ctx)).To(Succeed())
	g.Expect(fake.Left()).To(BeEmpty())
	g.Expect(check.Destroy(ctx)).To(Succeed())
}

// TestDestroyFindsWhatAKilledCreateMade breaks create at each of its writes,
// once before the service carried it out and once after it: then the object is
// there, and its id was never told.
func TestDestroyFindsWhatAKilledCreateMade(t *testing.T) {
	for _, carryOut := range []bool{false, true} {
		broken := 0
		for n := 1; ; n++ {
			g, ctx := NewWithT(t), t.Context()
			fake := newFake(t)
			fake.FailWrite(n, carryOut)
			cloud := cloudAt(t, fake)
			if New(cloud).Create(ctx) == nil {
				break
			}
			broken++
			what := fmt.Sprintf("write %d, carried out: %v", n, carryOut)
			g.Expect(New(cloud).Verify(ctx, resources.PreUpgrade)).NotTo(Succeed(), what)
			g.Expect(New(cloud).Destroy(ctx)).To(Succeed(), what)
			g.Expect(fake.Left()).To(BeEmpty(), what)
		}
		NewWithT(t).Expect(broken).To(BeNumerically(">=", 10), "create has that many writes")
	}
}

func TestDestroyThatWasKilledCanBeRepeated(t *testing.T) {
	for n := 1; ; n++ {
		g, ctx := NewWithT(t), t.Context()
		fake := newFake(t)
		cloud := cloudAt(t, fake)
		g.Expect(New(cloud).Create(ctx)).To(Succeed())
		fake.FailWrite(n, n%2 == 0)
		if New(cloud).Destroy(ctx) == nil {
			break
		}
		g.Expect(New(cloud).Destroy(ctx)).To(Succeed())
		g.Expect(fake.Left()).To(BeEmpty())
	}
}

func TestDestroyWithoutCreateAsksNobody(t *testing.T) {
	cloud := resources.Cloud{AuthURL: "http://127.0.0.1:1/v3", Tag: "unit", Store: &resources.Store{Dir: t.TempDir()}}
	NewWithT(t).Expect(New(cloud).Destroy(t.Context())).To(Succeed())
}

func TestWithoutANodeVerifyNoAPIIsNotChecked(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	check := New(cloudAt(t, newFake(t)))
	g.Expect(check.Create(ctx)).To(Succeed())
	var reason *resources.NotChecked
	g.Expect(errors.As(check.VerifyNoAPI(ctx, resources.PreUpgrade), &reason)).To(BeTrue())
	g.Expect(reason.Reason).To(Equal(resources.NoNode))
}

func TestWhereFilesLieElsewhereTheNodeIsNotLookedInto(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	cloud := cloudAt(t, newFake(t))
	cloud.Node, cloud.Elsewhere = neverAsked{t}, "files lie elsewhere"
	check := New(cloud)
	g.Expect(check.Create(ctx)).To(Succeed())
	g.Expect(check.Verify(ctx, resources.PreUpgrade)).To(Succeed())
	var reason *resources.NotChecked
	g.Expect(errors.As(check.VerifyNoAPI(ctx, resources.PreUpgrade), &reason)).To(BeTrue())
	g.Expect(reason.Reason).To(Equal("files lie elsewhere"))
}

// neverAsked is a node of which nothing may be asked.
type neverAsked struct{ t *testing.T }

func (n neverAsked) Output(context.Context, node.Command) ([]byte, error) {
	n.t.Error("the node is asked")
	return nil, errors.New("asked")
}

func TestWithoutATagNothingIsMade(t *testing.T) {
	fake := newFake(t)
	cloud := cloudAt(t, fake)
	cloud.Tag = ""
	NewWithT(t).Expect(New(cloud).Create(t.Context())).To(MatchError(resources.ErrNoTag))
	NewWithT(t).Expect(fake.Left()).To(BeEmpty())
}
