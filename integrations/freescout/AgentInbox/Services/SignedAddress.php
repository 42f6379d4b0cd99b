<?php

namespace Modules\AgentInbox\Services;

/**
 * The address of the order panel for one agent and one conversation.
 *
 * It works once, within two minutes. What is signed follows the #, so that it appears in no log.
 */
final class SignedAddress
{
    /** Line breaks and other control characters, which the inbox refuses. */
    private const CONTROL = '/[\x00-\x1f]+/';

    /**
     * @param string $panel  "Sidebar URL" from the inbox: https://inbox.example.com/sidebar/?frame=1
     * @param string $secret the frame's signing secret
     * @param array  $said   agent, assignee, email, phone, about: strings; an empty one is unknown
     *
     * @throws \InvalidArgumentException if $panel names no frame
     */
    public static function make(string $panel, string $secret, array $said): string
    {
        $panel = strtok(trim($panel), '#');
        parse_str((string) parse_url($panel, PHP_URL_QUERY), $query);
        if (empty($query['frame']) || !is_string($query['frame'])) {
            throw new \InvalidArgumentException('The sidebar URL has to end in ?frame= and a number.');
        }
        foreach ($said as $name => $value) {
            $said[$name] = preg_replace(self::CONTROL, ' ', (string) $value);
        }
        $said['frame'] = $query['frame'];
        $said['ts'] = (string) time();
        $said['nonce'] = bin2hex(random_bytes(16));
        ksort($said, SORT_STRING);
        $lines = [];
        foreach ($said as $name => $value) {
            $lines[] = $name.'='.$value;
        }
        $said['sig'] = hash_hmac('sha256', implode("\n", $lines), $secret);

        return $panel.'#'.http_build_query($said, '', '&', PHP_QUERY_RFC3986);
    }
}
