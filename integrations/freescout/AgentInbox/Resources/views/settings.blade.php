<form class="form-horizontal margin-top" method="POST" action="">
    {{ csrf_field() }}

    <div class="form-group">
        <label for="agentinbox_panel" class="col-sm-2 control-label">Sidebar URL</label>
        <div class="col-sm-6">
            <input id="agentinbox_panel" type="url" class="form-control input-sized" name="settings[agentinbox.panel]" value="{{ $settings['agentinbox.panel'] }}" maxlength="255" required>
            <p class="help-block">From your inbox: Admin, Inbox &amp; channels, Help desk frames. Only the part before the #.</p>
        </div>
    </div>

    <div class="form-group">
        <label for="agentinbox_secret" class="col-sm-2 control-label">Signing secret</label>
        <div class="col-sm-6">
            <input id="agentinbox_secret" type="password" class="form-control input-sized" name="settings[agentinbox.secret]" value="{{ \Helper::safePassword($settings['agentinbox.secret']) }}" maxlength="255" autocomplete="new-password" required>
        </div>
    </div>

    <div class="form-group margin-top">
        <div class="col-sm-6 col-sm-offset-2">
            <button type="submit" class="btn btn-primary">{{ __('Save') }}</button>
        </div>
    </div>
</form>
