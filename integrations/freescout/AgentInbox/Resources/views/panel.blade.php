<div class="conv-sidebar-block">
    <iframe src="{{ $address }}" title="{{ __('Orders') }}" referrerpolicy="no-referrer" style="display: block; width: 100%; height: 700px; border: 0"></iframe>
</div>
