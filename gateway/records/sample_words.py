"""Embedded upstream: the words from which the invented people are put together. Data only."""

from __future__ import annotations

# The commonest surnames and given names, and a few double surnames; any likeness of a pair is chance.
SURNAMES = (
    *"王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕",
    "欧阳",
    "司马",
    "诸葛",
)
GIVEN = (
    *(
        "伟",
        "芳",
        "娜",
        "敏",
        "静",
        "磊",
        "洋",
        "艳",
        "杰",
        "涛",
        "明",
        "霞",
        "平",
        "刚",
        "桂英",
        "建国",
        "秀兰",
        "志强",
    ),
    *(
        "雨桐",
        "梓涵",
        "浩然",
        "子轩",
        "思源",
        "嘉怡",
        "晓东",
        "文博",
        "若曦",
        "俊熙",
        "海燕",
        "国栋",
        "雅琴",
        "天佑",
    ),
)
PINYIN = (
    *("wei", "fang", "na", "min", "jing", "lei", "yang", "yan", "jie", "tao", "ming", "xia", "ping", "gang"),
    *("guiying", "jianguo", "xiulan", "zhiqiang", "yutong", "zihan", "haoran", "zixuan", "siyuan", "jiayi"),
    *("xiaodong", "wenbo", "ruoxi", "junxi", "haiyan", "guodong", "yaqin", "tianyou"),
)
FIRST = (
    *("Amelia", "Oliver", "Isla", "Noah", "Freya", "Leo", "Maya", "Theo", "Grace", "Arthur", "Ivy", "Felix"),
    *(
        "Zara",
        "Hugo",
        "Nora",
        "Callum",
        "Priya",
        "Owen",
        "Elif",
        "Rowan",
        "Siân",
        "Jürgen",
        "Chloé",
        "Pádraig",
    ),
)
LAST = (
    *(
        "Ashdown",
        "Birchall",
        "Carroway",
        "Dunmore",
        "Eastwick",
        "Fairbrook",
        "Greenhalgh",
        "Hartwell",
        "Inchbald",
    ),
    *(
        "Jessop",
        "Kirkby",
        "Langtree",
        "Merriweather",
        "Northcott",
        "O'Farrell",
        "Penhallow",
        "Quayle",
        "Thistlewood",
    ),
)
STREETS = {
    "branch:shanghai": ("上海市浦东新区云栖路", "上海市徐汇区梧桐里", "上海市静安区听雨街"),
    "branch:beijing": ("北京市朝阳区晴川路", "北京市海淀区望湖街", "北京市东城区柳荫胡同"),
    "branch:london": ("Larkspur Mews, London", "Old Tannery Row, London", "Heron Quay Walk, London"),
}
# Staff as the policy knows them: persons of the demonstration's own identity provider.
_PERSON = "person:https://id.demo.example#"
STAFF = {
    "branch:shanghai": (f"{_PERSON}li.wei", f"{_PERSON}shen.yan", f"{_PERSON}zhang.min"),
    "branch:beijing": (f"{_PERSON}wang.fang", f"{_PERSON}meng.qi", f"{_PERSON}bai.jing"),
    "branch:london": (f"{_PERSON}hart.rose", f"{_PERSON}okoye.ben", f"{_PERSON}finch.ada"),
}
TAGS = ("new-arrival", "renewal", "complaint", "paperless", "joint-account", "回访", "高净值")
CHANNELS = ("chat", "email", "phone", "wechat")
SUBJECTS_ZH = (
    "银行卡挂失",
    "修改收货地址",
    "账单有疑问",
    "退款进度",
    "更换手机号",
    "预约网点办理",
    "发票抬头更正",
)
SUBJECTS_EN = (
    "Card replacement",
    "Change of address",
    "A question on my bill",
    "Refund status",
    "New phone number",
)
ASKS_ZH = (
    "您好，我是{name}，想改一下预留手机号，新号码是{phone}。",
    "请把账单寄到{address}，谢谢。",
    "我的卡号{bank_card}昨天被多扣了一笔，麻烦查一下。",
    "身份证{id_number}可以线上核验吗？",
    "退款什么时候到账？已经等了三天了。",
)
ASKS_EN = (
    "Hello, {name} here. My new number is {phone}.",
    "Could you send the statement to {address}?",
    "Card {bank_card} was charged twice yesterday, please look into it.",
    "When will the refund arrive? It has been three days.",
    "You can reach me at {email} as well.",
)
REPLIES_ZH = (
    "您好，已经为您登记，预计两个工作日内处理完成。",
    "正在为您核实，请稍候。",
    "已处理，请您确认。",
)
REPLIES_EN = (
    "Thank you, this is with our team and will take two working days.",
    "We are checking this for you now.",
    "Done. Please let us know if anything is still wrong.",
)
NOTES = (None, None, "喜欢下午联系", "prefers e-mail", "曾投诉物流延误", "hard of hearing, please write")
