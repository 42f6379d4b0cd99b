<?php

namespace Modules\AgentInbox\Providers;

use Illuminate\Support\ServiceProvider;
use Modules\AgentInbox\Services\SignedAddress;

class AgentInboxServiceProvider extends ServiceProvider
{
    const SECTION = 'agentinbox';
    const PANEL = 'agentinbox.panel';
    const SECRET = 'agentinbox.secret';

    public function boot()
    {
        $this->loadViewsFrom(__DIR__.'/../Resources/views', self::SECTION);
        $this->addSettings();
        \Eventy::addAction('conversation.after_prev_convs', function ($customer, $conversation, $mailbox) {
            $this->showPanel($customer, $conversation);
        }, 20, 3);
    }

    /** Settings > Agent Inbox, for administrators; FreeScout saves what is entered there. */
    private function addSettings()
    {
        \Eventy::addFilter('settings.sections', function ($sections) {
            $sections[self::SECTION] = ['title' => 'Agent Inbox', 'icon' => 'shopping-cart', 'order' => 600];

            return $sections;
        }, 20);
        \Eventy::addFilter('settings.section_settings', function ($settings, $section) {
            if ($section != self::SECTION) {
                return $settings;
            }

            return [
                self::PANEL  => \Option::get(self::PANEL, ''),
                self::SECRET => \Helper::decrypt(\Option::get(self::SECRET, '')),
            ];
        }, 20, 2);
        \Eventy::addFilter('settings.section_params', function ($params, $section) {
            if ($section != self::SECTION) {
                return $params;
            }
            // The form shows asterisks, which aren't saved.
            $params['settings'] = [self::SECRET => ['safe_password' => true, 'encrypt' => true]];

            return $params;
        }, 20, 2);
        \Eventy::addFilter('settings.view', function ($view, $section) {
            return $section == self::SECTION ? self::SECTION.'::settings' : $view;
        }, 20, 2);
    }

    private function showPanel($customer, $conversation)
    {
        $panel = \Option::get(self::PANEL, '');
        $secret = \Helper::decrypt(\Option::get(self::SECRET, ''));
        $agent = auth()->user();
        if (!$panel || !$secret || !$agent) {
            return;
        }
        $said = [
            'agent'    => $agent->email,
            'assignee' => $conversation->user ? $conversation->user->email : '',
            'email'    => $conversation->customer_email ?: $customer->getMainEmail(),
            'phone'    => $customer->getMainPhoneNumber(),
            'about'    => mb_substr($conversation->getSubject().' '.$conversation->preview, 0, 1000),
        ];
        try {
            $address = SignedAddress::make($panel, $secret, $said);
        } catch (\InvalidArgumentException $error) {
            // The conversation is shown all the same.
            echo '<div class="conv-sidebar-block">'.e('Agent Inbox: '.$error->getMessage()).'</div>';

            return;
        }
        echo \View::make(self::SECTION.'::panel', ['address' => $address])->render();
    }
}
