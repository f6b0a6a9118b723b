/* SPDX-License-Identifier: MIT */
/* Sums and products modulo 2^32, one expression a line. */
%{
#include <stdio.h>
int yylex(void);
static void yyerror(const char *text) { fprintf(stderr, "%s\n", text); }
%}
%token NUMBER
%left '+'
%left '*'
%%
lines: | lines expression '\n' { printf("%u\n", (unsigned)$2); };
expression: NUMBER
    | expression '+' expression { $$ = (int)((unsigned)$1 + (unsigned)$3); }
    | expression '*' expression { $$ = (int)((unsigned)$1 * (unsigned)$3); }
    | '(' expression ')' { $$ = $2; };
%%
int main(void) { return yyparse(); }
