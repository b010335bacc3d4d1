package filter

import (
	"regexp/syntax"
	"strconv"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// What an operation may take at most, in units of [MaxCost].
const (
	costLiteral  = 1
	costVariable = 10
	costField    = 20
	costCall     = 25
	costSearch   = 200  // contains, for a text that the processor finds by itself
	costLongest  = 3000 // contains, for any other
	costCount    = 2300 // size
	costList     = 1200 // in, for a list of data
	costCompare  = 1200 // two texts of data with each other, for data of 256 KiB

	// costStep is for one step of a pattern at each byte of a text. Few patterns
	// take that much; an ambiguous one against a text made for it takes thrice. To
	// charge for those would be to refuse what is of use.
	costStep = MaxMatchText

	longestFast = 63 // bytes that contains finds fast
)

// calls are the operators and functions of the language, with what they cost
// beside their operands.
var calls = map[string]int{
	operators.Conditional: costCall, operators.LogicalAnd: costCall, operators.LogicalOr: costCall,
	operators.LogicalNot: costCall, operators.Negate: costCall, operators.Index: costCall,
	operators.Equals: costCall, operators.NotEquals: costCall, operators.Less: costCall,
	operators.LessEquals: costCall, operators.Greater: costCall, operators.GreaterEquals: costCall,
	operators.Add: 2 * costCall, operators.Subtract: 2 * costCall, operators.Multiply: 2 * costCall,
	operators.Divide: 2 * costCall, operators.Modulo: 2 * costCall,

	operators.In:         costCall,
	overloads.Contains:   costCall,
	overloads.Matches:    costCall,
	overloads.StartsWith: costCall,
	overloads.EndsWith:   costCall,
	overloads.Size:       costCall + costCount,

	overloads.TypeConvertInt: 4 * costCall, overloads.TypeConvertDouble: 4 * costCall,
	overloads.TypeConvertString: 6 * costCall, overloads.TypeConvertTimestamp: 6 * costCall,
	overloads.TypeConvertDuration: 6 * costCall,

	overloads.TimeGetFullYear: 2 * costCall, overloads.TimeGetMonth: 2 * costCall,
	overloads.TimeGetDayOfYear: 2 * costCall, overloads.TimeGetDayOfMonth: 2 * costCall,
	overloads.TimeGetDate: 2 * costCall, overloads.TimeGetDayOfWeek: 2 * costCall,
	overloads.TimeGetHours: 2 * costCall, overloads.TimeGetMinutes: 2 * costCall,
	overloads.TimeGetSeconds: 2 * costCall, overloads.TimeGetMilliseconds: 2 * costCall,
}

// A survey goes once over a parsed expression, before anything else does: it
// refuses what the language does not have, counts, and writes the canonical form.
type survey struct {
	info *ast.SourceInfo

	form      []byte
	cost      int
	terms     int
	readsData bool
}

// visit takes in e and what is below it.
func (s *survey) visit(e ast.Expr) *Error {
	switch e.Kind() {
	case ast.LiteralKind:
		return s.literal(e)
	case ast.IdentKind:
		return s.variable(e)
	case ast.SelectKind:
		return s.field(e)
	case ast.CallKind:
		return s.call(e)
	case ast.ListKind:
		elements := e.AsList().Elements()
		s.cost += costCall
		s.form = appendCount(s.form, '[', len(elements))
		return s.visitAll(elements)
	default:
		return s.refuse(e, "only lists may be written out here, not maps or messages")
	}
}

func (s *survey) visitAll(list []ast.Expr) *Error {
	for _, e := range list {
		if err := s.visit(e); err != nil {
			return err
		}
	}
	return nil
}

func (s *survey) literal(e ast.Expr) *Error {
	var kind byte
	var text string
	switch v := e.AsLiteral().(type) {
	case types.Null:
		kind = 'n'
	case types.Bool:
		kind, text = 'b', strconv.FormatBool(bool(v))
	case types.Int:
		kind, text = 'i', strconv.FormatInt(int64(v), 10)
	case types.Uint:
		kind, text = 'u', strconv.FormatUint(uint64(v), 10)
	case types.Double:
		kind, text = 'd', strconv.FormatFloat(float64(v), 'g', -1, 64)
	case types.String:
		kind, text = 's', string(v)
	default:
		return s.refuse(e, "bytes are not available; write text in quotes without a b before them")
	}
	s.cost += costLiteral
	s.form = appendText(append(s.form, kind), text)
	return nil
}

func (s *survey) variable(e ast.Expr) *Error {
	name := e.AsIdent()
	v, ok := variableOf(name)
	if !ok {
		return s.refuse(e, "%s is not a variable; the variables are id, source, type, subject, merchant, time and data; put text in quotes", quote(name))
	}
	s.cost += costVariable
	s.readsData = s.readsData || v == varData
	s.form = appendText(append(s.form, 'v'), name)
	return nil
}

func (s *survey) field(e ast.Expr) *Error {
	f := e.AsSelect()
	kind := byte('.')
	if f.IsTestOnly() { // has()
		kind = '?'
		s.terms++
	}
	s.cost += costField
	s.form = appendText(append(s.form, kind), f.FieldName())
	return s.visit(f.Operand())
}

func (s *survey) call(e ast.Expr) *Error {
	c := e.AsCall()
	name, operands := c.FunctionName(), c.Args()
	cost, ok := calls[name]
	if !ok {
		return s.refuse(e, "%s is not a function here; available are contains, startsWith, endsWith, matches, size, has, int, double, string, timestamp, duration and time functions such as getHours; no function iterates over a list", quote(name))
	}
	kind := byte('f')
	if c.IsMemberFunction() {
		kind = 'm'
		operands = append([]ast.Expr{c.Target()}, operands...)
	}
	switch name {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional:
	default:
		s.terms++
	}
	s.cost += cost
	if len(operands) == 2 { // anything else is not a call that the checker accepts
		if err := s.search(name, operands[0], operands[1]); err != nil {
			return err
		}
	}
	s.form = appendCount(appendText(append(s.form, kind), name), '(', len(operands))
	return s.visitAll(operands)
}

// search adds what a call costs by what its operands can be: most calls take the
// same time for all, but not those that go through a text or a list.
func (s *survey) search(name string, a, b ast.Expr) *Error {
	literal, isLiteral := literalText(b)
	switch name {
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals,
		operators.Greater, operators.GreaterEquals, overloads.StartsWith, overloads.EndsWith:
		if canBeLong(a) && canBeLong(b) {
			s.cost += costCompare
		}
	case operators.In:
		if b.Kind() == ast.ListKind {
			s.cost += costCall * b.AsList().Size()
		} else {
			s.cost += costList
		}
	case overloads.Contains:
		if isLiteral && len(literal) <= longestFast {
			s.cost += costSearch
		} else {
			s.cost += costLongest
		}
	case overloads.Matches:
		if !isLiteral {
			return s.refuse(b, "the pattern of matches must be a quoted text")
		}
		steps, reason := surveyPattern(literal)
		if reason != "" {
			return s.refuse(b, "%s", reason)
		}
		s.cost += steps * costStep
	}
	return nil
}

func literalText(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	t, ok := e.AsLiteral().(types.String)
	return string(t), ok
}

// canBeLong reports whether the value of e can be a text of data, and so one of
// any length.
func canBeLong(e ast.Expr) bool {
	switch e.Kind() {
	case ast.SelectKind:
		return !e.AsSelect().IsTestOnly()
	case ast.IdentKind:
		return e.AsIdent() == "data"
	case ast.CallKind:
		switch e.AsCall().FunctionName() {
		case operators.Index, operators.Conditional, overloads.TypeConvertString:
			return true
		}
	}
	return false
}

// refuse returns an error that points to e.
func (s *survey) refuse(e ast.Expr, format string, args ...any) *Error {
	err := refuse(PartFilter, format, args...)
	if place := s.info.GetStartLocation(e.ID()); place.Line() > 0 {
		err.Line, err.Column = place.Line(), place.Column()+1
	}
	return err
}

// surveyPattern returns how many steps a regular expression has, or why it is
// refused. A repetition within a repetition, the pattern that ruins engines that
// backtrack, takes linear time here; it is refused because it is the most
// ambiguous pattern there is, and another says the same.
func surveyPattern(pattern string) (steps int, reason string) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, "the pattern of matches is not a valid regular expression (RE2 syntax)"
	}
	steps, nested := countSteps(re, false)
	if nested {
		return 0, "the pattern of matches has a repetition within a repetition; write it with one"
	}
	return steps, ""
}

// countSteps counts what a regular expression has to try at each byte, and tells
// whether a repetition stands in another.
func countSteps(re *syntax.Regexp, repeated bool) (steps int, nested bool) {
	times := 1
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune), false
	case syntax.OpStar, syntax.OpPlus:
		nested, repeated = repeated, true
	case syntax.OpRepeat:
		times = max(re.Min, re.Max, 1)
		if re.Max != 1 {
			nested, repeated = repeated, true
		}
	}
	steps = 1
	for _, sub := range re.Sub {
		n, bad := countSteps(sub, repeated)
		steps += n
		nested = nested || bad
	}
	return min(steps*times, MaxCost), nested
}
