"""What front ends list, begin and delete: runs, datasets, exports, chats."""
