<?php

/**
 * Plays FreeScout to its module: the hooks, options and views that the module uses, as FreeScout 1.8
 * offers them (app/Http/Controllers/SettingsController.php, app/Option.php, app/Misc/Helper.php and
 * resources/views/conversations/partials/customer_sidebar.blade.php).
 *
 * Usage: php freescout.php MODULE < {"settings": {…}, "agent": …, "conversation": {…}, "customer": {…}}
 * Saves the settings as an administrator does, shows a conversation, and writes what the sidebar holds.
 */

namespace Illuminate\Support {
    abstract class ServiceProvider
    {
        protected function loadViewsFrom($path, $namespace)
        {
            \View::$paths[$namespace] = $path;
        }
    }
}

namespace {
    // FreeScout requires the extension mbstring; this program makes do without it.
    if (!function_exists('mb_substr')) {
        function mb_substr($text, $start, $length)
        {
            return implode('', array_slice(preg_split('//u', $text, -1, PREG_SPLIT_NO_EMPTY), $start, $length));
        }
    }

    class Eventy
    {
        private static $hooks = [];

        public static function addAction($hook, $callback, $priority = 20, $arguments = 1)
        {
            self::$hooks[$hook][] = [$callback, $arguments];
        }

        public static function addFilter($hook, $callback, $priority = 20, $arguments = 1)
        {
            self::addAction($hook, $callback, $priority, $arguments);
        }

        public static function action($hook, ...$given)
        {
            foreach (self::$hooks[$hook] ?? [] as [$callback, $arguments]) {
                $callback(...array_slice($given, 0, $arguments));
            }
        }

        public static function filter($hook, $value, ...$given)
        {
            foreach (self::$hooks[$hook] ?? [] as [$callback, $arguments]) {
                $value = $callback(...array_slice([$value, ...$given], 0, $arguments));
            }

            return $value;
        }
    }

    class Option
    {
        public static $saved = [];

        public static function get($name, $default = false)
        {
            return self::$saved[$name] ?? $default;
        }
    }

    class Helper
    {
        public static function decrypt($value)
        {
            return strncmp($value, 'sealed:', 7) ? $value : base64_decode(substr($value, 7));
        }

        public static function safePassword($password)
        {
            return str_repeat('*', strlen($password));
        }
    }

    class View
    {
        public static $paths = [];
        private $text;

        /** Blade as far as the module's views go: {{ expressions }}, escaped. */
        public static function make($name, $variables)
        {
            [$namespace, $file] = explode('::', $name);
            $text = file_get_contents(self::$paths[$namespace].'/'.$file.'.blade.php');
            $view = new self();
            $view->text = preg_replace_callback('/\{\{(.+?)\}\}/s', function ($found) use ($variables) {
                extract($variables);
                $value = eval('return '.$found[1].';');

                return e((string) $value);
            }, $text);

            return $view;
        }

        public function render()
        {
            return $this->text;
        }
    }

    function e($text)
    {
        return htmlspecialchars($text, ENT_QUOTES, 'UTF-8', true);
    }

    function __($text)
    {
        return $text;
    }

    function csrf_field()
    {
        return '';
    }

    function auth()
    {
        return new class {
            public function user()
            {
                return $GLOBALS['agent'];
            }
        };
    }

    class Customer
    {
        public $emails = [];
        public $phones = [];

        public function getMainEmail()
        {
            return $this->emails[0] ?? '';
        }

        public function getMainPhoneNumber()
        {
            return $this->phones[0] ?? '';
        }
    }

    class Conversation
    {
        public $user;
        public $customer_email;
        public $preview;
        public $subject;

        public function getSubject()
        {
            return $this->subject;
        }
    }

    $module = rtrim($argv[1], '/');
    spl_autoload_register(function ($class) use ($module) {
        require $module.str_replace(['Modules\\AgentInbox', '\\'], ['', '/'], $class).'.php';
    });
    $given = json_decode(stream_get_contents(STDIN), true);
    $manifest = json_decode(file_get_contents($module.'/module.json'), true);
    foreach ($manifest['providers'] as $provider) {
        (new $provider())->boot();
    }

    // SettingsController::processSave(), for the module's section.
    $section = $manifest['alias'];
    $offered = \Eventy::filter('settings.section_settings', [], $section);
    $params = \Eventy::filter('settings.section_params', [], $section)['settings'] ?? [];
    foreach (array_keys($offered) as $name) {
        $value = $given['settings'][$name];
        \Option::$saved[$name] = empty($params[$name]['encrypt']) ? $value : 'sealed:'.base64_encode($value);
    }
    $settings = \Eventy::filter('settings.section_settings', [], $section);
    $shown = [
        'sections' => array_keys(\Eventy::filter('settings.sections', [])),
        'form' => \View::make(
            \Eventy::filter('settings.view', 'settings/'.$section, $section),
            ['settings' => $settings]
        )->render(),
        'saved' => \Option::$saved,
    ];

    $person = function ($email) {
        return $email ? (object) ['email' => $email] : null;
    };
    $agent = $person($given['agent']);
    $customer = new Customer();
    $customer->emails = $given['customer']['emails'];
    $customer->phones = $given['customer']['phones'];
    $conversation = new Conversation();
    $conversation->user = $person($given['conversation']['assignee']);
    $conversation->customer_email = $given['conversation']['customer_email'];
    $conversation->subject = $given['conversation']['subject'];
    $conversation->preview = $given['conversation']['preview'];
    ob_start();
    \Eventy::action('conversation.after_prev_convs', $customer, $conversation, (object) ['id' => 1]);
    $shown['sidebar'] = ob_get_clean();
    echo json_encode($shown);
}
