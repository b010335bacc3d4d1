// Package web has the pages that people see in a browser: the guide, the
// reference, a page for each problem, and the console.
//
// They are rendered once, when a [Site] is made, have no build step, ask nobody
// else for anything, and run no script that is not a file of their own: see
// [contentPolicy].
package web
