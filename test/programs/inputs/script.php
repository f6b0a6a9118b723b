<?php
// SPDX-License-Identifier: MIT
// Arrays, strings, JSON, regular expressions; zend's own allocator is
// switched off by the caller (USE_ZEND_ALLOC=0).
mt_srand(99);
class Part
{
    public $next = null;
    public function __construct(public int $id, public string $text) {}
}
$rows = [];
for ($i = 0; $i < 60000; $i++) {
    $key = "k" . mt_rand(0, 4000);
    $rows[$key] = new Part($i, str_repeat(chr(65 + $i % 26), mt_rand(0, 60)));
    $rows[$key]->next = $rows["k" . mt_rand(0, 4000)] ?? null;
    if ($i % 50 == 0) {
        foreach ($rows as $row) $row->next = null;
    }
    if ($i % 4 == 0) unset($rows["k" . mt_rand(0, 4000)]);
}
ksort($rows);
foreach ($rows as $row) $row->next = null;
$text = json_encode($rows);
echo count($rows), " ", hash("sha256", $text), "\n";
echo hash("sha256", serialize(json_decode($text, true))), "\n";
echo hash("sha256", preg_replace_callback('/k(\d+)/',
    fn($m) => strrev($m[1]), $text)), "\n";
$big = "";
for ($i = 0; $i < 20000; $i++) $big .= md5((string)$i);
echo strlen($big), " ", crc32($big), "\n";
