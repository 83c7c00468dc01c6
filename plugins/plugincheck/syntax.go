package plugincheck

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// walk visits every node below root, root included, with the nodes above it, the
// outermost first. What visit is given of above is only good until it returns.
func walk(root syntax.Node, visit func(node syntax.Node, above []syntax.Node)) {
	var above []syntax.Node
	syntax.Walk(root, func(node syntax.Node) bool {
		if node == nil {
			above = above[:len(above)-1]
			return true
		}
		visit(node, above)
		above = append(above, node)
		return true
	})
}

// calls visits the simple commands below root that have a name of their own; it is
// empty where bash computes it.
func calls(root syntax.Node, visit func(call *syntax.CallExpr, name string, above []syntax.Node)) {
	walk(root, func(node syntax.Node, above []syntax.Node) {
		if call, ok := node.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			name, _ := literal(call.Args[0])
			visit(call, name, above)
		}
	})
}

// literal is a word's text with its quotes taken off; ok is false when bash would
// replace a part of it.
func literal(word *syntax.Word) (text string, ok bool) {
	var all strings.Builder
	for _, part := range word.Parts {
		switch part := part.(type) {
		case *syntax.Lit:
			all.WriteString(unescaped(part.Value))
		case *syntax.SglQuoted:
			all.WriteString(part.Value)
		case *syntax.DblQuoted:
			for _, inner := range part.Parts {
				lit, plain := inner.(*syntax.Lit)
				if !plain {
					return "", false
				}
				all.WriteString(lit.Value)
			}
		default:
			return "", false
		}
	}
	return all.String(), true
}

func unescaped(text string) string {
	var all strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		}
		all.WriteByte(text[i])
	}
	return all.String()
}

// parameter is the name of the variable that a word consists of, quoted or not,
// with a default or without; empty when the word is anything else.
func parameter(word *syntax.Word) string {
	parts := word.Parts
	if len(parts) == 1 {
		if quoted, ok := parts[0].(*syntax.DblQuoted); ok {
			parts = quoted.Parts
		}
	}
	if len(parts) != 1 {
		return ""
	}
	expansion, ok := parts[0].(*syntax.ParamExp)
	if !ok || expansion.Excl || expansion.Length || expansion.Index != nil || expansion.Slice != nil || expansion.Repl != nil {
		return ""
	}
	return expansion.Param.Value
}

// mentions tells whether a variable of that name is expanded, or computed with,
// below root.
func mentions(root syntax.Node, name string) bool {
	found := false
	walk(root, func(node syntax.Node, _ []syntax.Node) {
		switch node := node.(type) {
		case *syntax.ParamExp:
			found = found || node.Param != nil && node.Param.Value == name
		case *syntax.BinaryArithm:
			found = found || isWord(node.X, name) || isWord(node.Y, name)
		case *syntax.UnaryArithm:
			found = found || isWord(node.X, name)
		case *syntax.ArithmCmd:
			found = found || isWord(node.X, name)
		}
	})
	return found
}

func isWord(expression syntax.ArithmExpr, name string) bool {
	word, ok := expression.(*syntax.Word)
	return ok && word.Lit() == name
}

// inside returns the innermost node of a kind among those above; ok is false when
// there is none.
func inside[T syntax.Node](above []syntax.Node) (node T, ok bool) {
	for i := len(above) - 1; i >= 0; i-- {
		if node, ok = above[i].(T); ok {
			return node, true
		}
	}
	return node, false
}

// setsOption tells what a call of set does to an option that has a letter and a
// name: on or off, or neither.
func setsOption(call *syntax.CallExpr, letter, name string) (on, off bool) {
	if command, _ := literal(call.Args[0]); command != "set" {
		return false, false
	}
	for i, word := range call.Args[1:] {
		text, _ := literal(word)
		if len(text) < 2 || text == "--" || text[0] != '-' && text[0] != '+' {
			continue
		}
		hit := letter != "" && strings.Contains(text[1:], letter)
		if strings.HasSuffix(text, "o") && i+2 < len(call.Args) {
			option, _ := literal(call.Args[i+2])
			hit = hit || option == name
		}
		on, off = on || hit && text[0] == '-', off || hit && text[0] == '+'
	}
	return on, off
}

// within tells whether a position belongs to a node.
func within(position syntax.Pos, node syntax.Node) bool {
	return !node.Pos().After(position) && node.End().After(position)
}
