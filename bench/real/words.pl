# SPDX-License-Identifier: MIT
#
# words - make a text, count and index its words, rewrite it by patterns.
#
#     perl words.pl LINES

use strict;
use warnings;

my $state = 12345;

sub random_below {
    my ($limit) = @_;
    $state = ($state * 1103515245 + 12345) & 0x7fffffff;
    return ($state >> 8) % $limit;
}

my @syllables = qw(ash lar stone mor tar quar ry joint wall arch key vault);
my (%count, %lines_of, @text);

sub word {
    return join "", map { $syllables[random_below(12)] } 0 .. random_below(4);
}

for my $number (1 .. $ARGV[0]) {
    my $line = join " ", map { word() } 1 .. 4 + random_below(12);
    $line =~ s/(\w+)stone/stone-$1/g;
    $line =~ s/\b(\w)(\w*)\b/\U$1\E$2/ if $number % 3 == 0;
    push @text, { number => $number, line => $line,
                  words => [split / /, $line] };
}

for my $row (@text) {
    for my $word (@{$row->{words}}) {
        $count{lc $word}++;
        push @{$lines_of{$word}}, $row->{number};
    }
}

my ($sum, $length) = (0, 0);
for my $word (sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count) {
    $sum = ($sum * 31 + $count{$word} * length $word) % 1000003;
}
for my $row (splice @text, 0, @text / 2) {
    my %seen;
    my @once = grep { !$seen{$_}++ } reverse @{$row->{words}};
    $length += length sprintf "%05d: %s", $row->{number}, join(",", @once);
}
$length += @{$lines_of{$_}} * 3 for keys %lines_of;
print "$sum $length ", scalar(keys %count), "\n";
